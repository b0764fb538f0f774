import ts from "typescript";

/** Longest line of a comment, in columns, as for code. Lines with a URL may be longer. */
const maxColumns = 120;

/**
 * First words that a doc block may not have. They begin a clause without a subject ("What comes of …", "Of the entry
 * service"), which is a riddle when an editor shows it alone. A doc block begins with a noun or a verb.
 */
const refusedOpener =
  /^(What|Who|Whoever|Whom|Whose|Whatever|Whichever|Which|How|Why|When|Where|Wherever|Whenever|Whether|Of|That|Those|As|For|In|On|At|To|By|With|Without|From|Into|After|Before|Until|Under|Over|Since|If|Said|Told|Nobody|Somebody)\b/;

/** An invariant that the comment at the top of a file states: its label, such as `LN1`. */
export interface Invariant {
  readonly path: string;
  readonly label: string;
}

/** Finds doc blocks with a refused opener and comment lines that are too long, one sentence each. */
export function findWordFaults(sources: ReadonlyMap<string, string>): string[] {
  return [...sources].flatMap(([path, text]) => listComments(text).flatMap((comment) => judge(path, text, comment)));
}

function judge(path: string, text: string, { pos, end }: ts.CommentRange): string[] {
  const comment = text.slice(pos, end);
  const line = text.slice(0, pos).split("\n").length;
  const opener = comment.startsWith("/**") ? refusedOpener.exec(comment.replace(/^\/\*\*[\s*]*/, ""))?.[0] : undefined;
  const lines = text.split("\n").slice(line - 1, line - 1 + comment.split("\n").length);
  return [
    ...(opener === undefined
      ? []
      : [`${path}:${line}: the doc block begins with "${opener}", not with a noun or a verb`]),
    ...lines.flatMap((full, index) =>
      full.length <= maxColumns || full.includes("://") || full.includes("biome-ignore")
        ? []
        : [`${path}:${line + index}: the comment has ${full.length} columns, at most ${maxColumns} are allowed`],
    ),
  ];
}

/** Lists the invariants that files state in comments of the form `// LN1  text`. */
export function listInvariants(sources: ReadonlyMap<string, string>): Invariant[] {
  return [...sources].flatMap(([path, text]) =>
    [...text.matchAll(/^\s*(?:\/\/|\*) ([A-Z]{1,4}\d{1,2}) {2}\S/gm)].map(([, label]) => ({
      path,
      label: label as string,
    })),
  );
}

/**
 * Finds invariants that can't be searched for or that no test shows: prefixes of one letter or of two files, labels
 * stated twice, labels that no test cites.
 */
export function findInvariantFaults(invariants: readonly Invariant[], tests: ReadonlyMap<string, string>): string[] {
  const cited = new Set([...tests.values()].flatMap((text) => text.match(/\b[A-Z]{1,4}\d{1,2}\b/g) ?? []));
  const owners = new Map<string, string>();
  const stated = new Set<string>();
  return invariants.flatMap(({ path, label }) => {
    const prefix = label.replace(/\d+$/, "");
    const owner = owners.get(prefix) ?? path;
    owners.set(prefix, owner);
    const isTwice = stated.has(label);
    stated.add(label);
    return [
      ...(prefix.length < 2
        ? [`${path}: the invariant ${label} has a prefix of one letter, which can't be searched for`]
        : []),
      ...(owner === path ? [] : [`${path}: the prefix of the invariant ${label} is already used by ${owner}`]),
      ...(isTwice && owner === path ? [`${path} states the invariant ${label} twice`] : []),
      ...(cited.has(label) ? [] : [`${path}: no test cites the invariant ${label}`]),
    ];
  });
}

/** Lists every comment of a file once, in order. */
function listComments(text: string): ts.CommentRange[] {
  const source = ts.createSourceFile("file.ts", text, ts.ScriptTarget.Latest, true);
  const found = new Map<number, ts.CommentRange>();
  const visit = (node: ts.Node): void => {
    const ranges = [
      ...(ts.getLeadingCommentRanges(text, node.getFullStart()) ?? []),
      ...(ts.getTrailingCommentRanges(text, node.getEnd()) ?? []),
    ];
    for (const range of ranges) found.set(range.pos, range);
    for (const child of node.getChildren(source)) visit(child);
  };
  visit(source);
  return [...found.values()].sort((a, b) => a.pos - b.pos);
}
