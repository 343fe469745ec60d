import { markup, Markup } from "./markup.js";

/** Contrast of text on its ground is above 4.5 in both schemes (WCAG 2, 1.4.3); verdicts differ in shape as well as colour. */
const LIGHT = `--ground:#faf9f6;--card:#fff;--ink:#1c1f24;--muted:#5b626d;--line:#e2dfd8;--faint:#f1efe9;
--accent:#2b5c8a;--band:#2b5c8a24;--good:#1d7349;--bad:#a93a28;--open:#84590a;--second:#7a4a8f;`;
const DARK = `--ground:#15171b;--card:#1c1f25;--ink:#e9e7e2;--muted:#a5abb6;--line:#33373f;--faint:#23272e;
--accent:#86b6e6;--band:#86b6e62b;--good:#74c99b;--bad:#f0937f;--open:#e2b866;--second:#c79bdc;`;

const CHART = `
svg{display:block;width:100%;height:auto;font:12px system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;font-variant-numeric:tabular-nums}
svg text{fill:var(--muted)} svg .strong{fill:var(--ink);font-weight:600}
svg .end{text-anchor:end} svg .middle{text-anchor:middle}
.grid{stroke:var(--line);stroke-width:1} .base{stroke:var(--muted);stroke-width:1}
.band{fill:var(--band)} .curve{fill:none;stroke:var(--accent);stroke-width:2;stroke-linejoin:round}
.curve.second{stroke:var(--second);stroke-dasharray:6 3} .band.second{fill:var(--second);opacity:.15}
.margin{stroke:var(--open);stroke-width:1.5;stroke-dasharray:5 4} svg .margin-label{fill:var(--open)}
.bar{stroke:var(--accent);stroke-width:2} .ring{fill:none;stroke:var(--ink);stroke-width:1.5}
.mark{stroke-width:1.5;fill:var(--card);stroke:var(--accent)} .mark.worse{fill:var(--muted);stroke:none}
.mark.not-worse,.mark.better{fill:var(--good);stroke:var(--card);stroke-width:1} .mark.unproven{stroke:var(--open)}
.mark.reference{fill:var(--ink);stroke:none}
.win{fill:var(--good)} .loss{fill:var(--bad)} .step{fill:none;stroke:var(--muted);stroke-width:1;stroke-dasharray:2 3}
.family-0{fill:var(--accent)} .family-1{fill:var(--open)} .family-2{fill:var(--good)} .family-3{fill:var(--second)} .family-4{fill:var(--bad)}
.line-0{stroke:var(--accent)} .line-1{stroke:var(--open)} .line-2{stroke:var(--good)} .line-3{stroke:var(--second)} .line-4{stroke:var(--bad)}
.area-0{fill:var(--accent);opacity:.12} .area-1{fill:var(--open);opacity:.12} .area-2{fill:var(--good);opacity:.12} .area-3{fill:var(--second);opacity:.12} .area-4{fill:var(--bad);opacity:.12}
.cell{fill:var(--accent);stroke:var(--line)} .cell-off{fill:var(--faint);stroke:var(--line)} .cell-negative{fill:var(--bad)}
.curve.thin{stroke-width:1.25} .estimate{fill:none;stroke:var(--muted);stroke-width:1.5}
.hit{fill:transparent}`;

const PAGE = `
*{box-sizing:border-box} html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--ground);color:var(--ink);font:16px/1.6 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
header,main,footer{max-width:880px;margin:0 auto;padding:0 16px}
header{padding-top:56px} .eyebrow{color:var(--muted);font-size:14px;margin:0 0 12px;overflow-wrap:anywhere}
h1{font-size:clamp(28px,6vw,44px);line-height:1.12;letter-spacing:-.02em;margin:0 0 16px;font-weight:650;text-wrap:balance}
h2{font-size:21px;line-height:1.3;letter-spacing:-.01em;margin:0 0 6px} h3{font-size:15px;margin:20px 0 6px}
p{margin:0 0 12px;overflow-wrap:anywhere;max-width:68ch} .lead{font-size:18px} .quiet{color:var(--muted)} .small{font-size:14px}
section{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:22px 24px;margin:20px 0}
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(180px,1fr));gap:1px;background:var(--line);border:1px solid var(--line);border-radius:12px;overflow:hidden;margin:28px 0 0;padding:0}
.figures>div{background:var(--card);padding:16px 20px} .figures dt{color:var(--muted);font-size:14px}
.figures dd{margin:0;font-size:26px;line-height:1.25;font-weight:600;letter-spacing:-.01em;font-variant-numeric:tabular-nums}
.figures dd small{display:block;font-size:14px;font-weight:400;letter-spacing:0;color:var(--muted)}
figure{margin:16px 0 0} .narrow{display:none} .legend{display:flex;flex-wrap:wrap;gap:4px 18px;padding:0;margin:10px 0 0;list-style:none;font-size:14px;color:var(--muted)}
.legend li{display:flex;align-items:center;gap:7px} .legend svg{width:14px;height:14px;flex:none}
details{margin-top:14px;border-top:1px solid var(--line);padding-top:10px} summary{cursor:pointer;color:var(--accent);font-size:14px}
.scroll{overflow-x:auto;max-height:480px;overflow-y:auto;margin-top:10px} .scroll:focus-visible,summary:focus-visible{outline:2px solid var(--accent);outline-offset:2px}
table{border-collapse:collapse;width:100%;font-size:14px;font-variant-numeric:tabular-nums} caption{text-align:left;color:var(--muted);padding:0 0 6px}
th,td{padding:5px 14px 5px 0;text-align:left;border-bottom:1px solid var(--line);white-space:nowrap;vertical-align:top} th{font-weight:600}
td.number,th.number{text-align:right} tr.chosen td,tr.chosen th{background:var(--faint)} tbody th{font-weight:400}
.verdict-better,.verdict-not-worse{color:var(--good)} .verdict-unproven{color:var(--open)} .verdict-worse{color:var(--muted)}
.facts{display:grid;grid-template-columns:minmax(110px,max-content) 1fr;gap:5px 22px;margin:10px 0 0;font-size:15px}
.facts dt{color:var(--muted)} .facts dd{margin:0;overflow-wrap:anywhere;min-width:0}
code,pre{font:13.5px/1.55 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace} pre{background:var(--faint);border-radius:8px;padding:12px 14px;white-space:pre-wrap;overflow-wrap:anywhere;margin:8px 0 14px}
.samples{list-style:none;padding:0;margin:8px 0 0} .samples li{border-top:1px solid var(--line);padding:10px 0}
.samples p{margin:0;font-size:14px} .text .prompt,.text .scored{display:block} .text{white-space:pre-wrap;overflow-wrap:anywhere;unicode-bidi:isolate} .scored{color:var(--ink)} .prompt{color:var(--muted)}
.chip{font-variant-numeric:tabular-nums;font-weight:600} .chip.win{color:var(--good)} .chip.loss{color:var(--bad)}
.columns{display:grid;grid-template-columns:1fr 1fr;gap:0 32px} .columns>div{min-width:0}
.notice{border-left:3px solid var(--open);padding-left:14px}
footer{color:var(--muted);font-size:14px;padding-top:12px;padding-bottom:56px}
#tip{position:absolute;z-index:2;pointer-events:none;background:var(--ink);color:var(--ground);font-size:13px;line-height:1.4;padding:6px 10px;border-radius:6px;max-width:260px;white-space:pre-line;opacity:0;transition:opacity .1s}
@media(max-width:640px){.wide{display:none}.narrow{display:block}.columns{grid-template-columns:1fr}section{padding:18px 16px}header{padding-top:32px}.facts{grid-template-columns:1fr;gap:0}.facts dd{margin-bottom:8px}.figures dd{font-size:22px}}
@media(prefers-reduced-motion:reduce){#tip{transition:none}}
@media print{body{background:#fff;font-size:11pt}section,.figures{break-inside:avoid;border-color:#ccc}header{padding-top:0}.scroll{max-height:none;overflow:visible}#tip,summary{display:none}*{print-color-adjust:exact}}`;

/** Light unless the reader's system is dark; always light on paper. */
export const PAGE_STYLE = new Markup(
  `:root{color-scheme:light dark;${LIGHT}}@media screen and (prefers-color-scheme:dark){:root{${DARK}}}${CHART}${PAGE}`,
);

/** For a chart in a file of its own, on the white of a paper. */
export const CHART_STYLE = markup`<style>
  svg{${new Markup(LIGHT)}}${new Markup(CHART)}
</style>`;
