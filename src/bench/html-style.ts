/** The style sheet of the benchmark's page: one column, figures that stand below each other, both colour schemes. */
import { DARK, LIGHT, type Scheme } from "./palette.ts";
import { MODES } from "./rows.ts";

/** CSS for the page's style element; the chart in it brings its own. */
export function pageStyle(): string {
  return `:root{${variables(LIGHT, "#f4f6f8")}}
@media screen and (prefers-color-scheme:dark){:root{${variables(DARK, "#0c0f13")}}}
${LAYOUT.trim()}
${MODES.map((mode) => `dt.${mode},caption .${mode},.cards .${mode} .mode{color:var(--${mode})}\n.cards .${mode}{border-top-color:var(--${mode})}`).join("\n")}
${PRINT.trim()}`;
}

function variables(scheme: Scheme, ground: string): string {
  const modes = MODES.map((mode) => `--${mode}:${scheme.modes[mode]}`);
  const { paper, ink, muted, grid } = scheme;
  return [
    `--ground:${ground}`,
    `--paper:${paper}`,
    `--ink:${ink}`,
    `--muted:${muted}`,
    `--grid:${grid}`,
    ...modes,
  ].join(";");
}

const LAYOUT = `
*{box-sizing:border-box}
html{color-scheme:light dark;-webkit-text-size-adjust:100%}
body{margin:0;background:var(--ground);color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
main{max-width:1040px;margin:0 auto;padding:48px 24px 72px}
header{margin-bottom:28px}
.tool{margin:0 0 4px;color:var(--muted);font-size:14px;font-weight:600}
h1{margin:0;font-size:34px;line-height:1.2;letter-spacing:-.01em;overflow-wrap:anywhere}
h2{margin:0 0 14px;font-size:20px}
.lead{margin:8px 0 0;color:var(--muted)}
a{color:var(--map)}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(155px,1fr));gap:16px;margin:0 0 24px;padding:0;list-style:none}
.cards li{padding:14px 18px 16px;background:var(--paper);border:1px solid var(--grid);border-top:3px solid;border-radius:8px}
.cards p{margin:0}
.mode{font-weight:650}
.mode span,.figure span{color:var(--muted);font-weight:400}
.figure{font-size:30px;font-weight:650;line-height:1.35;font-variant-numeric:tabular-nums;letter-spacing:-.01em}
.figure span{font-size:15px;letter-spacing:0}
.beside{color:var(--muted);font-size:14px}
figure,section,.wide:has(table){margin:0 0 24px;padding:22px 24px;background:var(--paper);border:1px solid var(--grid);border-radius:8px}
section .wide:has(table){margin:0;padding:0;border:0}
.wide{overflow-x:auto}
figure .vmcopy-chart{display:block;width:100%;min-width:680px;height:auto}
figure .vmcopy-chart .paper{fill:none}
figcaption,section>p{color:var(--muted);font-size:14px}
figure{padding:10px 6px 20px}
figcaption{margin-top:4px;padding:0 18px}
section>p{max-width:78ch;margin:0 0 16px}
dl{margin:0}
dl div{display:grid;grid-template-columns:minmax(84px,170px) 1fr;gap:16px;padding:9px 0;border-top:1px solid var(--grid)}
dl div:first-child{border-top:0;padding-top:0}
dl div:last-child{padding-bottom:0}
dt{font-weight:650}
dd{margin:0;overflow-wrap:anywhere}
table{width:100%;border-collapse:collapse;font-size:14px;font-variant-numeric:tabular-nums;white-space:nowrap}
caption{padding-bottom:10px;text-align:left;font-weight:650;font-size:18px}
section caption{font-size:14px}
th,td{padding:5px 10px;text-align:right;font-weight:400}
th:first-child{padding-left:0;text-align:left;font-weight:600}
th:last-child,td:last-child{padding-right:0}
thead th,thead th:first-child{color:var(--muted);font-weight:600;border-bottom:1px solid var(--muted)}
tbody tr+tr>*{border-top:1px solid var(--grid)}
tbody tr:hover{background:var(--ground)}
@media (max-width:640px){main{padding:28px 14px 48px}h1{font-size:26px}section,.wide:has(table){padding:16px}dl div{grid-template-columns:1fr;gap:0}}
`;

const PRINT = `
@media print{
@page{margin:14mm}
body{background:none;font-size:11pt}
main{max-width:none;padding:0}
h1{font-size:22pt}
figure,section,.wide:has(table),.cards li{border-color:#bbb;border-radius:0}
figure,section,.wide:has(table){padding:0;border:0}
.cards{grid-template-columns:repeat(4,1fr);gap:8px}
.cards li{padding:8px 10px}
.figure{font-size:18pt}
.wide{overflow:visible}
figure .vmcopy-chart{min-width:0}
table{font-size:9pt}
th,td{padding-top:2px;padding-bottom:2px}
figure,.cards,tr,dl div{break-inside:avoid}
.wide:has(table){break-inside:avoid}
h2,caption{break-after:avoid}
}
`;
