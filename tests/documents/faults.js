// What a reader of this page would stumble over, at the window's width and in its colours, as a list of sentences.
(() => {
  const faults = new Set();
  const window_width = document.documentElement.clientWidth;
  const shown = (element) => element.checkVisibility({ visibilityProperty: true }) && element.clientWidth !== 1;
  const called = (element) => `<${element.localName} class="${element.getAttribute("class") ?? ""}">`
    + ` ${element.textContent.trim().replace(/\s+/g, " ").slice(0, 50)}`;
  for (const folded of document.querySelectorAll("article details")) folded.open = true;
  // Scrolled inside its own frame: pictures that are wider than a telephone, and there what a terminal shows.
  const may_scroll = (element) => element.matches(".panorama")
    || (window_width < 700 && element.matches(".highlight-text pre, .output, .cell_output, .table-wrapper:has(td.text-right)"));
  const holds_back = (element) => !["visible"].includes(getComputedStyle(element).overflowX);

  const sideways = document.documentElement.scrollWidth > window_width;
  for (const element of document.querySelectorAll("body *")) {
    if (!shown(element) || element.closest("svg svg, .sidebar-drawer, .toc-drawer, .overlay")) continue;
    const spills = element.scrollWidth > element.clientWidth + 1 && element.clientWidth > 1;
    if (spills && holds_back(element) && !may_scroll(element)) faults.add(`clipped: ${called(element)}`);
    if (sideways && element.getBoundingClientRect().right > window_width + 1) {
      let frame = element.parentElement;
      while (frame && !(holds_back(frame) && frame !== document.body)) frame = frame.parentElement;
      if (!frame) faults.add(`wider than the window: ${called(element)}`);
    }
  }
  if (sideways && !faults.size) faults.add("scrolls sideways");

  for (const picture of document.images) {
    if (!picture.complete || !picture.naturalWidth) faults.add(`no picture: ${picture.getAttribute("src")}`);
    const shrunk = picture.checkVisibility() && /svg$/.test(picture.src) && picture.width / picture.naturalWidth < 0.6;
    if (shrunk) faults.add(`words too small: ${picture.getAttribute("src")}`);
  }

  const numbers = (colour) => colour.match(/[\d.]+/g).map(Number);
  const light = (colour) => {
    const [r, g, b] = colour.map((c) => c / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const [r, g, b, a = 1] = numbers(getComputedStyle(each).backgroundColor);
      if (a > 0.5) return [r, g, b];
    }
    return [255, 255, 255];
  };
  const range = document.createRange();
  const texts = document.createTreeWalker(document.querySelector("article") ?? document.body, NodeFilter.SHOW_TEXT);
  for (let text = texts.nextNode(); text; text = texts.nextNode()) {
    const element = text.parentElement;
    if (!text.data.trim() || !shown(element) || element.closest("svg, script, style, .headerlink")) continue;
    // Code on a telephone goes on in the next line wherever it has to.
    for (const word of window_width < 700 && element.closest("pre, .sig, :not(td) > p > code, li code") ? [] : text.data.matchAll(/[\p{L}\p{N}]{2,}/gu)) {
      range.setStart(text, word.index);
      range.setEnd(text, word.index + word[0].length);
      const boxes = [...range.getClientRects()];
      if (boxes.length > 1 && boxes.at(-1).top - boxes[0].top > 5) faults.add(`broken word: ${word[0]}`);
    }
    if (!/[\p{L}\p{N}]/u.test(text.data)) continue;
    const [above, below] = [numbers(getComputedStyle(element).color).slice(0, 3), behind(element)].map(light);
    const contrast = (Math.max(above, below) + 0.05) / (Math.min(above, below) + 0.05);
    if (contrast < 3) faults.add(`pale (${contrast.toFixed(1)}): ${called(element)}`);
  }
  return [...faults];
})()
