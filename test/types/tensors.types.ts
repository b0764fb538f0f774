// A tensor's type carries its dtype and shape: a number is that size, a name any size.
import { api, concat, type Handle, row, Service, stack, Tensor, tensor } from "ekiben";
import { z } from "zod";
import { expectType } from "./expect.js";

class Layers extends Service() {
  rows = api({ input: tensor("float32", ["n", 64]), output: tensor("float32", ["n", 8]) }, (rows) => {
    expectType<Tensor<"float32", readonly [number, 64]>>()(rows);
    expectType<Float32Array>()(rows.data);
    expectType<64>()(rows.shape[1]);
    return new Tensor("float32", [rows.shape[0], 8], new Float32Array(rows.shape[0] * 8));
  });
  wide = api({ output: tensor("float32", ["n", 128]) }, () => new Tensor("float32", [1, 128], new Float32Array(128)));
  narrow = api({ output: tensor("float32", ["n", 64]) }, () => new Tensor("float32", [2, 64], new Float32Array(128)));
  tokens = api({ output: tensor("int64", ["n", 64]) }, () => new Tensor("int64", [1, 64], new BigInt64Array(64)));
  flat = api({ output: tensor("float32", [64]) }, () => new Tensor("float32", [64], new Float32Array(64)));
  scalar = api({ output: tensor("float64", []) }, () => new Tensor("float64", [], new Float64Array(1)));
}
declare const layers: Handle<Layers>;

// The output of one service fits the input of the next, or does not compile.
layers.rows(layers.narrow());
// @ts-expect-error [n, 128] where [n, 64] is declared
layers.rows(layers.wide());
// @ts-expect-error int64 where float32 is declared
layers.rows(layers.tokens());
// @ts-expect-error one dimension where two are declared
layers.rows(layers.flat());
// @ts-expect-error no dimension where two are declared
layers.rows(layers.scalar());
// @ts-expect-error an object that is no tensor
layers.rows({ data: new Float32Array(64) });

// Tensors made inline.
layers.rows(new Tensor("float32", [3, 64], new Float32Array(192)));
layers.rows({ dtype: "float32", shape: [3, 64], data: new Float32Array(192) });
// @ts-expect-error the second size is 65
layers.rows(new Tensor("float32", [3, 65], new Float32Array(195)));
// @ts-expect-error another dtype
layers.rows(new Tensor("float64", [3, 64], new Float64Array(192)));
// @ts-expect-error the array is not of the dtype
new Tensor("float32", [3], new Float64Array(3));
// @ts-expect-error no such dtype
new Tensor("float8", [3], new Float32Array(3));
// @ts-expect-error a size is a number
new Tensor("float32", ["n"], new Float32Array(3));

// A shape of unknown length fits everywhere and is checked at run time.
declare const sizes: number[];
declare const readonlySizes: readonly number[];
layers.rows(new Tensor("float32", sizes, new Float32Array(64)));
layers.rows(new Tensor("float32", readonlySizes, new Float32Array(64)));
// @ts-expect-error but its dtype is known
layers.rows(new Tensor("int32", sizes, new Int32Array(64)));
// A size that is known only at run time fits where a name is declared.
layers.rows(new Tensor("float32", [sizes.length, 64], new Float32Array(64)));

// Tensors of another runtime fit by structure: their shape is `readonly number[]`.
declare const foreign: { readonly dtype: "float32"; readonly shape: readonly number[]; readonly data: Float32Array };
const wrapped = new Tensor(foreign.dtype, foreign.shape, foreign.data);
layers.rows(wrapped);

// Results of an api are checked like inputs.
// @ts-expect-error the contract says 8
api({ output: tensor("float32", [8]) }, () => new Tensor("float32", [9], new Float32Array(9)));
// @ts-expect-error the contract says float32
api({ output: tensor("float32", [8]) }, () => new Tensor("int32", [8], new Int32Array(8)));
// @ts-expect-error an array is not a tensor
api({ output: tensor("float32", [8]) }, () => new Float32Array(8));
api({ output: tensor("float32", [8]) }, () => new Tensor("float32", sizes, new Float32Array(8)));

// Contracts.
tensor("uint8", ["height", "width", 3]);
tensor("float32", ["n"], { finite: true });
// @ts-expect-error no such dtype
tensor("float16", ["n"]);
// @ts-expect-error a size is a number or a name
tensor("float32", [null]);

// Rows, stacks and joined tensors keep what is known of their shapes.
declare const batch: Tensor<"float32", readonly [number, 384]>;
declare const one: Tensor<"float32", readonly [384]>;
declare const some: Tensor<"float32", readonly [384]>[];
expectType<Tensor<"float32", readonly [384]>>()(row(batch, 0));
expectType<Tensor<"float32", readonly []>>()(row(one, 0));
expectType<Tensor<"float32", readonly [1, 384]>>()(stack([row(batch, 0)]));
expectType<Tensor<"float32", readonly [2, 384]>>()(stack([one, row(batch, 1)]));
expectType<Tensor<"float32", readonly [number, 384]>>()(stack(some));
expectType<Tensor<"float32", readonly [number, 384]>>()(concat([batch, batch]));
expectType<Tensor<"float32", readonly [2, number]>>()(
  concat([new Tensor("float32", [2, 3], new Float32Array(6)), new Tensor("float32", [2, 4], new Float32Array(8))], 1),
);
layers.rows(stack([layers.flat() as never as Tensor<"float32", readonly [64]>]));
layers.rows(concat([new Tensor("float32", sizes, new Float32Array(64))]));
layers.rows(stack([new Tensor("float32", sizes, new Float32Array(64))]));
layers.rows(row(new Tensor("float32", sizes, new Float32Array(64)), 0));
// @ts-expect-error tensors of other sizes
stack([one, new Tensor("float32", [385], new Float32Array(385))]);
// @ts-expect-error a row of 384 where rows of 64 are declared
layers.rows(stack([one]));
// @ts-expect-error rows of 384 where rows of 64 are declared
layers.rows(concat([batch, batch]));
// @ts-expect-error a list, not two arguments
stack(one, one);

// Tensors beside other fields.
class Mixed extends Service() {
  mix = api(
    { input: { text: z.string(), image: tensor("float32", [3, 224, 224]) }, output: { score: z.number() } },
    ({ text, image }) => {
      expectType<string>()(text);
      expectType<Tensor<"float32", readonly [3, 224, 224]>>()(image);
      return { score: image.shape[0] };
    },
  );
}
declare const mixed: Handle<Mixed>;
mixed.mix({ text: "x", image: new Tensor("float32", [3, 224, 224], new Float32Array(150_528)) });
// @ts-expect-error height and width are 224
mixed.mix({ text: "x", image: new Tensor("float32", [3, 225, 224], new Float32Array(150_528)) });
// @ts-expect-error the image is missing
mixed.mix({ text: "x" });
