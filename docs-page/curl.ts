/** Quotes a text for a POSIX shell; no text can end the quotes early. */
export const quote = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

/** Characters from which a body is written as the name of a file instead. */
const maxInlineBody = 1500;

/** Returns curl's arguments for a JSON body, its white space removed. */
export function jsonArguments(type: string, json: string): readonly string[] {
  const text = json.replace(/("(?:\\.|[^"\\])*")|\s+/g, "$1");
  const body = text.length > maxInlineBody ? "@input.json" : quote(text);
  return [`-H ${quote(`content-type: ${type}`)}`, `-d ${body}`];
}

/** Returns curl's argument for a JSON field of a form. */
export const jsonField = (name: string, json: string): string =>
  `-F ${quote(`${name}="${json.replace(/["\\]/g, "\\$&")}";type=application/json`)}`;

/** Returns curl's argument for a file in a form. A name in quotes may hold the characters that `-F` gives a meaning. */
export const fileField = (name: string, file: string): string =>
  `-F ${quote(/[",;\\]/.test(file) ? `${name}=@"${file.replace(/["\\]/g, "\\$&")}"` : `${name}=@${file}`)}`;

/** Returns curl's argument for a text field of a form; `-F` gives `@`, `<` and `;` a meaning. */
export const textField = (name: string, text: string): string =>
  (/^[@<]|;/.test(text) ? "--form-string " : "-F ") + quote(`${name}=${text}`);

/** Turns a typed text into the header that says who is asking: a key or token alone is sent as `Bearer`. */
export function toAuthorization(text: string): string | undefined {
  const typed = text.trim();
  if (typed === "") return undefined;
  return typed.includes(" ") ? typed : `Bearer ${typed}`;
}

/** Argument for the header that says who is asking. The reader's shell has the secret, not the page. */
const authorizationArgument = '-H "authorization: $AUTHORIZATION"';

/** Writes the whole command, an argument a line. @param args `isKnown` adds the header that says who is asking. */
export function curlCommand(
  url: string,
  args: {
    readonly isStream: boolean;
    readonly body: readonly string[];
    readonly accept: string | undefined;
    readonly isKnown?: boolean;
  },
): string {
  const { isStream, body, accept, isKnown = false } = args;
  // Without a body, curl asks with GET.
  const method = body.length === 0 ? "-X POST " : "";
  const shownUrl = /^[\w:/.%~-]+$/.test(url) ? url : quote(url);
  const head = `curl ${isStream ? "-N " : ""}${method}${shownUrl}`;
  const headers = [
    ...(accept === undefined ? [] : [`-H ${quote(`accept: ${accept}`)}`]),
    ...(isKnown ? [authorizationArgument] : []),
  ];
  return [head, ...body, ...headers].join(" \\\n  ");
}
