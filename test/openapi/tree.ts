import { z } from "zod";

interface Tree {
  name: string;
  children: Tree[];
}

/** Schema that contains itself: its JSON Schema refers to its own root. */
export const tree: z.ZodType<Tree> = z.object({
  name: z.string(),
  get children() {
    return z.array(tree);
  },
});
