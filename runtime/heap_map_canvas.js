// The pictures: one canvas for each arena, written pixel by pixel.

const COLUMNS = 128;
const ROWS = heap.arenaPages / COLUMNS;
// Squares get smaller when there are many arenas.
const SQUARE = [[2, 7], [8, 4], [32, 3]].find(
    ([arenas]) => heap.arenas.length <= arenas)?.[1] ?? 2;
const SCALE = Math.max(1, Math.round(window.devicePixelRatio || 1));
const PITCH = SQUARE * SCALE;  // pixels from one square to the next
// The square itself, and unless it is tiny a gap to the next.
const INSIDE = SQUARE > 2 ? PITCH - SCALE : PITCH;

// Hue and saturation of each kind, by its number in heap.kinds.
const HUES = {
  "noscan": [212, 58], "slots": [174, 52], "headed": [28, 72],
  "headed noscan": [48, 70], "bitmap": [282, 40], "disposed": [4, 38],
  "typed": [128, 42], "large": [345, 58], "manual": [220, 8],
};
const darkTheme = window.matchMedia("(prefers-color-scheme: dark)");

// From hue (degrees), saturation and lightness (percent).
function rgb(hue, saturation, lightness) {
  const a = saturation / 100 * Math.min(lightness, 100 - lightness) / 100;
  const channel = (n) => {
    const k = (n + hue / 30) % 12;
    const value = lightness / 100 - a * Math.max(-1, Math.min(k - 3, 9 - k, 1));
    return Math.round(255 * value);
  };
  return [channel(0), channel(8), channel(4)];
}

// Of a span class, `fullness` from 0 to 1. Classes of one kind differ a little.
function classColour(spanClass, kind, fullness) {
  const [hue, saturation] = HUES[heap.kinds[kind]] ?? [220, 8];
  const shift = spanClass === undefined || spanClass === heap.largeClass
      ? 0 : ((spanClass * 0.618) % 1 - 0.5) * 18;
  const lightness = darkTheme.matches ? 24 + 40 * fullness
                                      : 87 - 44 * fullness;
  return rgb((hue + shift + 360) % 360, saturation, lightness);
}

function stateColour(state) {
  const dark = darkTheme.matches;
  switch (state) {
    case FREE: return dark ? [104, 110, 120] : [168, 172, 178];
    case RELEASED: return dark ? [42, 47, 54] : [228, 229, 231];
    case UNAVAILABLE: return dark ? [190, 184, 120] : [120, 112, 40];
    default: return paper();
  }
}

const paper = () => darkTheme.matches ? [23, 25, 29] : [251, 251, 249];
const ink = () => darkTheme.matches ? [240, 242, 245] : [20, 22, 26];

// Of what a page is: a span or a state.
function colourOf(what) {
  if (what < 0) return stateColour(what);
  const fullness = spans.inUse[what] / Math.max(1, spans.cells[what]);
  return classColour(spans.spanClass[what], kindOf(what), fullness);
}

// What the legend shows alone: (what) => boolean, or null for everything.
let emphasis = null;

function shownColour(what) {
  const colour = colourOf(what);
  if (emphasis === null || emphasis(what)) return colour;
  return colour.map((c, i) => Math.round(0.15 * c + 0.85 * paper()[i]));
}

// A pixel of ImageData seen as 32 bits, on the little-endian machines that
// browsers run on.
const pixel = ([r, g, b]) => (255 << 24 | b << 16 | g << 8 | r) >>> 0;

function drawArena(index) {
  const {pages, canvas} = heap.arenas[index];
  const context = canvas.getContext("2d");
  const image = context.createImageData(canvas.width, canvas.height);
  const pixels = new Uint32Array(image.data.buffer);
  const fill = (x, y, width, height, value) => {
    for (let row = y; row < y + height; row++) {
      pixels.fill(value, row * canvas.width + x, row * canvas.width + x + width);
    }
  };
  fill(0, 0, canvas.width, canvas.height, pixel(paper()));
  const mark = Math.max(1, Math.floor(INSIDE / 4));
  const mix = (colour) => colour.map((c, i) => Math.round((c + ink()[i]) / 2));
  let drawn = null;  // what `value` is the colour of
  let value = 0;
  let markValue = 0;
  for (let page = 0; page < pages.length; page++) {
    const what = pages[page];
    if (what === OUTSIDE) continue;
    if (what !== drawn) {
      drawn = what;
      const colour = shownColour(what);
      value = pixel(colour);
      markValue = pixel(mix(colour));
    }
    const x = page % COLUMNS * PITCH;
    const y = Math.floor(page / COLUMNS) * PITCH;
    const joins = what >= 0 && pages[page + 1] === what &&
                  page % COLUMNS !== COLUMNS - 1;
    const width = joins ? PITCH : INSIDE;
    fill(x, y, width, INSIDE, value);
    if (what < 0) continue;
    if (spans.state[what] === UNSWEPT) {
      fill(x, y + INSIDE - mark, width, mark, markValue);
    } else if (spans.state[what] === CACHED && pages[page - 1] !== what) {
      fill(x, y, mark, INSIDE, pixel(ink()));
    }
  }
  context.putImageData(image, 0, 0);
  heap.arenas[index].image = image;
}

// A pixel of a page that is never covered by a mark.
function samplePixel(page) {
  return [page % COLUMNS * PITCH + INSIDE - 1,
          Math.floor(page / COLUMNS) * PITCH];
}

// Frames pages [first, end), after removing earlier frames.
function frame(index, first, end) {
  const {canvas, image} = heap.arenas[index];
  const context = canvas.getContext("2d");
  context.putImageData(image, 0, 0);
  if (first === end) return;
  context.strokeStyle = `rgb(${ink().join(" ")})`;
  context.lineWidth = SCALE;
  for (let page = first; page < end;) {
    const row = Math.floor(page / COLUMNS);
    const rowEnd = Math.min(end, (row + 1) * COLUMNS);
    context.strokeRect(page % COLUMNS * PITCH - SCALE / 2,
                       row * PITCH - SCALE / 2,
                       (rowEnd - page) * PITCH, PITCH);
    page = rowEnd;
  }
}

// The page under a point of a canvas, given in the window's coordinates.
function pageAt(canvas, clientX, clientY) {
  const box = canvas.getBoundingClientRect();
  const inside = (at, start, size, n) =>
      Math.max(0, Math.min(n - 1, Math.floor((at - start) / size * n)));
  return inside(clientY - canvas.clientTop, box.top, canvas.clientHeight,
                ROWS) * COLUMNS +
         inside(clientX - canvas.clientLeft, box.left, canvas.clientWidth,
                COLUMNS);
}

function makeCanvas(arena) {
  const canvas = document.createElement("canvas");
  canvas.width = COLUMNS * PITCH;
  canvas.height = ROWS * PITCH;
  canvas.style.width = `${COLUMNS * SQUARE + 2}px`;  // and the border
  canvas.tabIndex = 0;
  canvas.setAttribute("role", "application");
  canvas.setAttribute("aria-label", `Pages of the arena at ${hex(arena.address)}`);
  canvas.setAttribute("aria-describedby", "tooltip");
  arena.canvas = canvas;
  return canvas;
}
