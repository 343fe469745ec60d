import { createHash } from "node:crypto";
import { Markup } from "./markup.js";

/** Shows the titles of chart parts at once and by touch, which browsers do late or not at all, and opens tables for print. */
const SCRIPT = `(()=>{
const tip=document.body.appendChild(document.createElement("div"));
tip.id="tip";tip.setAttribute("aria-hidden","true");
for(const title of document.querySelectorAll(".hit>title")){title.parentNode.dataset.tip=title.textContent;title.remove()}
const show=event=>{
const hit=event.target instanceof Element?event.target.closest("[data-tip]"):null;
if(!hit){tip.style.opacity="0";tip.style.left=tip.style.top="0";return}
tip.textContent=hit.dataset.tip;
const edge=document.documentElement.clientWidth-tip.offsetWidth-8;
tip.style.left=Math.max(8,Math.min(edge,event.pageX+12))+"px";
tip.style.top=event.pageY+16+"px";tip.style.opacity="1"};
document.addEventListener("pointermove",show);document.addEventListener("pointerdown",show);
addEventListener("beforeprint",()=>{tip.style.opacity="0";for(const it of document.querySelectorAll("details[data-print]"))it.open=true})})()`;

export const PAGE_SCRIPT = new Markup(SCRIPT);

/** Nothing is loaded, and no script runs but this one: what a sample's text says cannot act. */
export const CONTENT_POLICY = `default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-${createHash("sha256").update(SCRIPT).digest("base64")}'; base-uri 'none'; form-action 'none'`;
