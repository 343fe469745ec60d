import { markup, type Content, type Markup } from "./markup.js";
import { CONTENT_POLICY, PAGE_SCRIPT } from "./script.js";
import { PAGE_STYLE } from "./theme.js";

export interface DocumentParts {
  readonly title: string;
  readonly eyebrow: string;
  readonly headline: string;
  /** Under the headline. */
  readonly lead: Content;
  readonly main: Content;
  readonly footer: string;
}

/** One page that needs nothing but itself. */
export function documentOf({ title, eyebrow, headline, lead, main, footer }: DocumentParts): Markup {
  return markup`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="${CONTENT_POLICY}">
<meta name="referrer" content="no-referrer">
<title>${title}</title>
<style>${PAGE_STYLE}</style>
</head>
<body>
<header>
<p class="eyebrow">${eyebrow}</p>
<h1>${headline}</h1>
${lead}
</header>
<main>${main}</main>
<footer><p>${footer}</p></footer>
<script>${PAGE_SCRIPT}</script>
</body>
</html>
`;
}
