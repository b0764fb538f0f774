import { readdirSync, readFileSync } from "node:fs";
import { join, posix, relative, sep } from "node:path";
import ts from "typescript";

/** One import or re-export. */
export interface Import {
  readonly specifier: string;
  /** Path of the file inside the tree; `undefined` for packages and Node's modules. */
  readonly file: string | undefined;
  /** True for `import type` and `export type`, which do not exist at run time. */
  readonly isType: boolean;
  /** True for `import()`, which loads when the line runs. */
  readonly isLazy: boolean;
}

export interface LongFunction {
  readonly name: string;
  readonly lines: number;
}

/** Facts about one file that the rules need. */
export interface SourceFile {
  /** Path below the root, with `/`: `"call/invoke.ts"`. */
  readonly path: string;
  readonly lines: number;
  readonly imports: readonly Import[];
  /** Names of the exports; for classes also `Class.method`. */
  readonly exports: readonly string[];
  readonly hasDefaultExport: boolean;
  readonly hasStarExport: boolean;
  readonly functions: readonly LongFunction[];
  /** Fields of its classes that other code can write, as `Class.field`. */
  readonly writableFields: readonly string[];
}

/** Reads every TypeScript file of a folder, tests only on request: path below the folder → text. */
export function readSources(root: string, which?: "tests too"): Map<string, string> {
  const files = readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".ts"))
    .filter((entry) => which !== undefined || !entry.name.endsWith(".test.ts"))
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((file) => !/[/\\](node_modules|dist|results)[/\\]/.test(relative(root, file)));
  return new Map(files.map((file) => [relative(root, file).split(sep).join("/"), readFileSync(file, "utf8")]));
}

export function parseTree(sources: ReadonlyMap<string, string>): SourceFile[] {
  return [...sources].map(([path, text]) => parseFile(path, text));
}

function parseFile(path: string, text: string): SourceFile {
  const source = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
  const imports: Import[] = [];
  const functions: LongFunction[] = [];
  const visit = (node: ts.Node): void => {
    const found = readImport(path, node);
    if (found !== undefined) imports.push(found);
    if (ts.isFunctionLike(node) && "body" in node && node.body !== undefined) {
      functions.push({ name: nameOf(node), lines: countLines(source, node) });
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return {
    path,
    lines: text.replace(/\n$/, "").split("\n").length,
    imports,
    exports: source.statements.flatMap(exportedNames),
    hasDefaultExport: source.statements.some(isDefaultExport),
    hasStarExport: source.statements.some((node) => ts.isExportDeclaration(node) && node.exportClause === undefined),
    functions,
    writableFields: source.statements.flatMap(writableFieldsOf),
  };
}

/** Fields without `readonly` and setters, unless they are private. */
function writableFieldsOf(node: ts.Statement): string[] {
  if (!ts.isClassDeclaration(node) || node.name === undefined) return [];
  const className = node.name.text;
  const isWritable = (member: ts.ClassElement): boolean => {
    if (ts.isSetAccessor(member)) return !ts.isPrivateIdentifier(member.name);
    if (!ts.isPropertyDeclaration(member) || ts.isPrivateIdentifier(member.name)) return false;
    const closed = [ts.SyntaxKind.ReadonlyKeyword, ts.SyntaxKind.PrivateKeyword];
    return !closed.some((kind) => hasModifier(member, kind));
  };
  return node.members.filter(isWritable).map((member) => `${className}.${member.name?.getText() ?? ""}`);
}

function readImport(path: string, node: ts.Node): Import | undefined {
  if (ts.isImportDeclaration(node)) {
    // With verbatimModuleSyntax, `import { type X }` still loads the module.
    const isType = node.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword;
    return toImport(path, node.moduleSpecifier, { isType });
  }
  if (ts.isExportDeclaration(node) && node.moduleSpecifier !== undefined) {
    return toImport(path, node.moduleSpecifier, { isType: node.isTypeOnly });
  }
  if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) {
    return toImport(path, node.argument.literal, { isType: true });
  }
  if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
    const [specifier] = node.arguments;
    return specifier === undefined ? undefined : toImport(path, specifier, { isLazy: true });
  }
  return undefined;
}

function toImport(path: string, node: ts.Node, manner: { isType?: boolean; isLazy?: boolean }): Import | undefined {
  if (!ts.isStringLiteral(node)) return undefined;
  const specifier = node.text;
  const isInTree = specifier.startsWith(".");
  const file = posix.normalize(posix.join(posix.dirname(path), specifier)).replace(/\.js$/, ".ts");
  return { specifier, file: isInTree ? file : undefined, isType: false, isLazy: false, ...manner };
}

function isDefaultExport(node: ts.Statement): boolean {
  if (ts.isExportAssignment(node)) return true;
  return ts.canHaveModifiers(node) && hasModifier(node, ts.SyntaxKind.DefaultKeyword);
}

function hasModifier(node: ts.HasModifiers, kind: ts.SyntaxKind): boolean {
  return ts.getModifiers(node)?.some((modifier) => modifier.kind === kind) ?? false;
}

function exportedNames(node: ts.Statement): string[] {
  if (ts.isExportDeclaration(node)) {
    const clause = node.exportClause;
    return clause !== undefined && ts.isNamedExports(clause) ? clause.elements.map(({ name }) => name.text) : [];
  }
  if (!ts.canHaveModifiers(node) || !hasModifier(node, ts.SyntaxKind.ExportKeyword)) return [];
  if (ts.isVariableStatement(node)) {
    return node.declarationList.declarations.flatMap(({ name }) => (ts.isIdentifier(name) ? [name.text] : []));
  }
  if (ts.isClassDeclaration(node) && node.name !== undefined) {
    const className = node.name.text;
    const methods = node.members.filter((member) => ts.isMethodDeclaration(member));
    return [className, ...methods.map((method) => `${className}.${method.name.getText()}`)];
  }
  const name = (node as { name?: ts.Node }).name;
  return name !== undefined && ts.isIdentifier(name) ? [name.text] : [];
}

function nameOf(node: ts.SignatureDeclaration): string {
  if (node.name !== undefined) return node.name.getText();
  if (ts.isConstructorDeclaration(node)) return "constructor";
  const parent = node.parent;
  if (ts.isVariableDeclaration(parent) || ts.isPropertyAssignment(parent) || ts.isPropertyDeclaration(parent)) {
    return parent.name.getText();
  }
  return "an anonymous function";
}

function countLines(source: ts.SourceFile, node: ts.Node): number {
  const from = source.getLineAndCharacterOfPosition(node.getStart(source)).line;
  return source.getLineAndCharacterOfPosition(node.getEnd()).line - from + 1;
}
