/** The style sheet of the docs page. Colours are those of the picture of the graph, which stands on the page. */
export const docsStyle = `
:root {
  color-scheme: light dark;
  --page: #ffffff; --panel: #f6f8fa; --field: #ffffff; --edge: #d8dee4; --soft: #eaeef2;
  --text: #1f2328; --muted: #59636e; --accent: #4f46e5; --on-accent: #ffffff; --tint: #eeedfd;
  --good: #116329; --bad: #b42318; --bad-tint: #fff1ef; --string: #0a5c36; --number: #0758b0; --literal: #6e3ec2;
  --sans: system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  --mono: ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", monospace;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #0d1117; --panel: #151a22; --field: #0d1117; --edge: #30363f; --soft: #1f252e;
    --text: #e6edf3; --muted: #9da7b3; --accent: #a5a2ff; --on-accent: #10102a; --tint: #211f45;
    --good: #6fdd8b; --bad: #ff9d94; --bad-tint: #35181a; --string: #7ee2a8; --number: #79b8ff; --literal: #c8a6ff;
  }
}
* { box-sizing: border-box; }
html { scroll-behavior: smooth; -webkit-text-size-adjust: 100%; }
@media (prefers-reduced-motion: reduce) { html { scroll-behavior: auto; } }
body { margin: 0; background: var(--page); color: var(--text); font: 15px/1.55 var(--sans); }
h1, h2, h3, p, ul, figure, pre { margin: 0; padding: 0; }
ul { list-style: none; }
a { color: var(--accent); text-decoration: none; }
a:hover { text-decoration: underline; }
code, pre, textarea, .mono { font-family: var(--mono); font-size: 13px; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; border-radius: 4px; }
.quiet { color: var(--muted); }
.skip { position: absolute; left: -999px; top: 8px; padding: 6px 12px; background: var(--accent); color: var(--on-accent); z-index: 3; }
.skip:focus { left: 8px; }

nav { position: sticky; top: 0; z-index: 2; background: var(--page); border-bottom: 1px solid var(--edge); }
nav .brand { display: none; font-weight: 600; }
nav .links { display: none; }
nav ul { display: flex; gap: 2px; overflow-x: auto; padding: 6px 12px; }
nav li a { display: flex; align-items: baseline; gap: 8px; padding: 6px 10px; border-radius: 6px; color: var(--muted); white-space: nowrap; font: 13px/1.4 var(--mono); }
nav li a:hover { color: var(--text); text-decoration: none; background: var(--soft); }
nav li a[aria-current] { color: var(--text); background: var(--soft); }
.mark { font: 600 10.5px/1 var(--sans); letter-spacing: .02em; color: var(--literal); }
main { padding: 32px 20px 80px; max-width: 1240px; }
h1 { font-size: 28px; line-height: 1.2; font-weight: 650; letter-spacing: -.015em; overflow-wrap: anywhere; }
h1 + .version { margin-top: 6px; }
.version { color: var(--muted); font: 13px/1.5 var(--mono); }
.lede { max-width: 68ch; margin-top: 14px; font-size: 16px; white-space: pre-line; overflow-wrap: anywhere; }
/* In its own size, so that its texts can be read. */
figure { margin-top: 28px; overflow: auto; max-height: 80vh; }
figure img { display: block; max-width: none; }

.api { padding-top: 48px; margin-top: 48px; border-top: 1px solid var(--edge); scroll-margin-top: 40px; }
.api h2 { font-size: 20px; line-height: 1.3; font-weight: 620; letter-spacing: -.01em; text-wrap: balance; overflow-wrap: anywhere; }
.route { display: flex; flex-wrap: wrap; align-items: center; gap: 4px 10px; margin-bottom: 8px; }
.route code { font-size: 14px; overflow-wrap: anywhere; }
.route a { color: inherit; }
.method { font: 700 11px/1 var(--sans); letter-spacing: .05em; color: var(--accent); background: var(--tint); padding: 5px 7px; border-radius: 5px; }
.kind { font-size: 12.5px; color: var(--muted); }
.kind.stream { color: var(--literal); font-weight: 550; }
.about { margin-top: 8px; max-width: 68ch; color: var(--muted); white-space: pre-line; overflow-wrap: anywhere; }
.columns { display: grid; gap: 28px; margin-top: 24px; grid-template-columns: minmax(0, 1fr); }
h3 { font-size: 13px; font-weight: 620; display: flex; flex-wrap: wrap; align-items: baseline; gap: 2px 10px; }
h3 .types { font: 12px/1.5 var(--mono); color: var(--muted); overflow-wrap: anywhere; }
.part + .part { margin-top: 30px; }
.folded + .folded { margin-top: 14px; }

.fields { margin-top: 8px; border-top: 1px solid var(--soft); }
.fields > li { padding: 9px 0; border-bottom: 1px solid var(--soft); }
.fields .fields { margin: 8px 0 0; padding-left: 14px; border-top: 0; border-left: 2px solid var(--soft); }
.fields .fields > li:last-child { border-bottom: 0; padding-bottom: 2px; }
.field { display: flex; flex-wrap: wrap; align-items: baseline; gap: 1px 10px; overflow-wrap: anywhere; }
.field .name { font: 600 13px/1.5 var(--mono); }
.field .type { font: 13px/1.5 var(--mono); color: var(--muted); }
.field .type.special { color: var(--number); }
.must { font-size: 12px; color: var(--bad); }
.may { font-size: 12px; color: var(--muted); }
.output .must, .input .may { display: none; }
.notes { font-size: 13px; color: var(--muted); overflow-wrap: anywhere; }
.notes:empty { display: none; }
.part > .notes, .part > .quiet { margin-top: 8px; }
.text { font-size: 14px; margin-top: 1px; max-width: 62ch; white-space: pre-line; overflow-wrap: anywhere; }
.variant { font-size: 12px; color: var(--muted); padding-top: 8px; }
summary { cursor: pointer; }
summary::-webkit-details-marker { display: none; }
.fields summary, .more > summary { list-style: none; }
.fields summary .field::after, .more > summary::after {
  content: ""; width: 6px; height: 6px; margin: 0 4px 2px 0; align-self: center; flex: none; display: inline-block;
  border: solid var(--muted); border-width: 0 1.5px 1.5px 0; transform: rotate(-45deg); transition: transform .12s;
}
.fields summary .field::after { margin-left: auto; }
.fields details[open] > summary .field::after, .more[open] > summary::after { transform: rotate(45deg); }
.more > summary { display: inline-flex; align-items: center; gap: 10px; font-size: 13px; font-weight: 620; }
.more > summary span { font-weight: 400; color: var(--muted); }
.failures { margin-top: 8px; display: grid; grid-template-columns: auto minmax(0, 1fr); gap: 6px 14px; font-size: 13px; }
.failures dt { font: 600 13px/1.5 var(--mono); }
.failures dd { margin: 0; color: var(--muted); overflow-wrap: anywhere; }
.failures dd code { color: var(--text); }
.failures dd p + p { margin-top: 3px; }

.try { background: var(--panel); border: 1px solid var(--edge); border-radius: 10px; min-width: 0; }
.try > * { padding: 14px 16px; }
.try > * + * { border-top: 1px solid var(--edge); }
form { display: grid; gap: 12px; }
.bar { display: flex; flex-wrap: wrap; align-items: center; gap: 8px 14px; }
.bar h3 { margin-right: auto; }
.choice { display: inline-flex; align-items: center; gap: 6px; font-size: 12.5px; color: var(--muted); min-width: 0; }
select, input, textarea { font: inherit; color: inherit; background: var(--field); border: 1px solid var(--edge); border-radius: 6px; }
select { font-size: 12.5px; padding: 4px 6px; max-width: 210px; color: var(--text); }
textarea { display: block; width: 100%; padding: 10px 12px; line-height: 1.55; font-family: var(--mono); font-size: 13px; resize: vertical; min-height: 44px; max-height: 480px; field-sizing: content; tab-size: 2; }
textarea[aria-invalid] { border-color: var(--bad); }
input { width: 100%; padding: 6px 10px; font-size: 14px; }
input[type=file] { padding: 7px 10px; font-size: 13px; color: var(--muted); }
::file-selector-button { font: 500 12.5px var(--sans); color: var(--text); background: var(--soft); border: 1px solid var(--edge); border-radius: 5px; padding: 3px 9px; margin-right: 10px; cursor: pointer; }
.inputs { display: grid; gap: 12px; }
.inputs select { min-width: 120px; padding: 6px 8px; }
.inputs label { display: block; margin-bottom: 4px; font: 600 12.5px/1.5 var(--mono); }
.inputs label span { font-weight: 400; color: var(--muted); margin-left: 8px; }
.warning { margin-top: 8px; font-size: 13px; color: var(--bad); overflow-wrap: anywhere; }
.warning:empty { display: none; }
button { font: 550 13px/1 var(--sans); border-radius: 6px; padding: 9px 16px; cursor: pointer; border: 1px solid var(--edge); background: var(--field); color: var(--text); }
button:hover { border-color: var(--muted); }
button.primary { background: var(--accent); border-color: var(--accent); color: var(--on-accent); min-width: 76px; }
button.primary:hover { filter: brightness(1.08); }
button.primary.running { background: transparent; color: var(--bad); border-color: currentColor; }
button.small { padding: 5px 9px; font-size: 12px; font-weight: 450; }
.send { display: flex; flex-wrap: wrap; align-items: center; gap: 10px; }
.send kbd { font: 12px var(--sans); color: var(--muted); }
@media (hover: none) { .send kbd { display: none; } }
.status { display: flex; flex-wrap: wrap; align-items: baseline; gap: 2px 12px; font-size: 13px; color: var(--muted); }
.status b { color: var(--good); font-weight: 620; }
.status b.bad { color: var(--bad); }
.status b.plain { color: var(--text); }
.headers { margin-top: 4px; font: 12px/1.6 var(--mono); color: var(--muted); overflow-wrap: anywhere; }
.body { margin-top: 10px; max-height: 460px; overflow: auto; background: var(--field); border: 1px solid var(--edge); border-radius: 6px; }
.body pre { padding: 10px 12px; line-height: 1.55; white-space: pre-wrap; overflow-wrap: anywhere; }
.body img { display: block; max-width: 100%; margin: 0 auto; }
.body .download { padding: 10px 12px; font-size: 13px; }
.items li { display: grid; grid-template-columns: 64px minmax(0, 1fr); border-bottom: 1px solid var(--soft); }
.items li:last-child { border-bottom: 0; }
.items time { padding: 7px 0 7px 12px; font: 11.5px/1.7 var(--mono); color: var(--muted); }
.items pre { padding: 6px 12px 6px 8px; }
.failure { margin-top: 10px; padding: 10px 12px; border: 1px solid var(--bad); border-radius: 6px; background: var(--bad-tint); }
.failure .code { font: 600 13px/1.5 var(--mono); color: var(--bad); overflow-wrap: anywhere; }
.failure .message { margin-top: 2px; font-size: 14px; white-space: pre-wrap; overflow-wrap: anywhere; }
.failure .trace { margin-top: 4px; font: 12px/1.6 var(--mono); color: var(--muted); overflow-wrap: anywhere; }
.failure pre { margin-top: 8px; white-space: pre-wrap; overflow-wrap: anywhere; }
.curl { display: flex; align-items: flex-start; gap: 12px; }
.curl pre { flex: 1; min-width: 0; max-height: 200px; overflow: auto; line-height: 1.6; white-space: pre-wrap; overflow-wrap: anywhere; font-size: 12.5px; }
.k { color: var(--text); } .s { color: var(--string); } .n { color: var(--number); } .l { color: var(--literal); }

@media (max-width: 759px) {
  figure::after {
    content: "Scroll sideways for the rest of the graph."; display: block; position: sticky; left: 0; padding-top: 6px;
    font-size: 12.5px; color: var(--muted);
  }
}
@media (min-width: 760px) {
  main { padding: 40px 40px 96px; }
}
@media (min-width: 1080px) {
  .page { display: grid; grid-template-columns: 232px minmax(0, 1fr); }
  nav { height: 100vh; overflow-y: auto; border: 0; border-right: 1px solid var(--edge); padding: 28px 16px; display: flex; flex-direction: column; }
  nav .brand { display: block; padding: 0 10px 16px; overflow-wrap: anywhere; }
  nav ul { display: block; padding: 0; }
  nav li a { justify-content: space-between; white-space: normal; overflow-wrap: anywhere; }
  nav .links { display: block; margin-top: auto; padding: 24px 10px 0; font-size: 12.5px; line-height: 1.9; }
  nav .links a { display: block; color: var(--muted); }
  main { padding: 44px 48px 120px; }
  .columns { grid-template-columns: minmax(0, 1fr) minmax(0, 1fr); gap: 44px; }
  .try { position: sticky; top: 24px; align-self: start; }
  .api { scroll-margin-top: 0; }
}
`;
