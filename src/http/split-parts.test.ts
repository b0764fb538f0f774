import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { splitParts } from "./split-parts.js";

const type = "multipart/form-data; boundary=B";
const split = (body: string, header = type) =>
  splitParts(Buffer.from(body), header).map(({ bytes, ...part }) => ({ ...part, text: Buffer.from(bytes).toString() }));
const part = (disposition: string, text = "", headers = "") =>
  `--B\r\ncontent-disposition: form-data; ${disposition}\r\n${headers}\r\n${text}\r\n`;

describe("a multipart body", () => {
  it("is cut into its parts, whatever is in them", () => {
    const body = `preamble\r\n${part("name=a", "1\r\n--b\r\n--")}${part('name="é"', "", "Content-Type:\ttext/html\r\n")}--B--\r\nepilogue`;
    assert.deepEqual(split(body), [
      { name: "a", fileName: undefined, contentType: "", text: "1\r\n--b\r\n--" },
      { name: "é", fileName: undefined, contentType: "text/html", text: "" },
    ]);
  });

  it("may have no parts, spaces behind a boundary, and folded headers", () => {
    assert.deepEqual(split("--B--\r\n"), []);
    const folded = '--B \t\r\ncontent-disposition: form-data;\r\n name="a";\r\n\tfilename="b"\r\n\r\nx\r\n--B--';
    assert.deepEqual(split(folded), [{ name: "a", fileName: "b", contentType: "", text: "x" }]);
    assert.deepEqual(
      split(`${part("name=a", "x")}--B--`, 'multipart/form-data; charset=utf-8; Boundary="B"').length,
      1,
    );
  });

  it("leaves out file inputs that were left empty, and nothing else", () => {
    const octets = "content-type: application/octet-stream\r\n";
    const body = [
      part('name="left"; filename=""', "", octets),
      part('name="left"', "", octets),
      part('name="empty"; filename="a.bin"', "", octets),
      part('name="unnamed"; filename=""', "x", octets),
      part('name="text"'),
    ].join("");
    assert.deepEqual(
      split(`${body}--B--`).map(({ name, fileName }) => [name, fileName]),
      [
        ["empty", "a.bin"],
        ["unnamed", "file"],
        ["text", undefined],
      ],
    );
  });

  it("names files and fields as browsers do, without their folders", () => {
    const names = split(`${part('name="a%22b"; filename="../c%22d.txt"', "x")}--B--`);
    assert.deepEqual([names[0]?.name, names[0]?.fileName], ['a"b', 'c"d.txt']);
  });

  it("is refused with what is wrong with it", () => {
    const long = part(`name="${"n".repeat(2000)}"`, "x");
    const cases: [string, RegExp, string?][] = [
      ["", /boundary/, "multipart/form-data"],
      ["nothing", /no boundary line/],
      ["--B", /boundary line has further text/],
      ["--Bx\r\n\r\n", /boundary line has further text/],
      [part("name=a", "x"), /cut off/],
      ["--B\r\n\r\nabc\r\n--B--", /no name/],
      ["--B\r\n--B--", /do not end/],
      ["--B\r\nnonsense\r\n\r\nabc\r\n--B--", /a header line of a part has no name/],
      [`--B\r\ncontent-disposition: attachment; name=a\r\n\r\n\r\n--B--`, /no name/],
      [
        `${part("name=a", "eA==", "content-transfer-encoding: base64\r\n")}--B--`,
        /part a has the content-transfer-encoding base64/,
      ],
      [`${long}--B--`, /more than 1000 characters/],
      [`${part(`name=a; x=${"y".repeat(9000)}`)}--B--`, /more than 8192 bytes/],
      [`${part(`name=a; x=${"y".repeat(8000)}`).repeat(40)}--B--`, /more than 262144 bytes/],
      [`${part("name=a").repeat(1001)}--B--`, /more than 1000 parts/],
    ];
    for (const [body, message, header] of cases) {
      assert.throws(() => split(body, header), { id: "invalid_multipart", message }, body.slice(0, 60));
    }
  });

  it("is refused at its first wrong part, however many follow", () => {
    assert.throws(() => split("--B\r\n\r\n\r\n".repeat(1_500_000)), /no name/);
    assert.throws(() => split(`${part("name=a").repeat(300_000)}--B--`), /more than 1000 parts/);
  });
});
