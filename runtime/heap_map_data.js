// What heap_map_writer.cc has written, as spans and pages.
//
//   heap.arenas[a].pages[p]   what page p of arena a is: the number of its
//                             span, or one of the states below, which are
//                             negative
//   spans                     for each span its fields, as arrays

const OUTSIDE = -1;
const FREE = -2;
const RELEASED = -3;
const UNAVAILABLE = -4;

const SWEPT = 0;
const UNSWEPT = 1;
const CACHED = 2;

const heap = JSON.parse(document.getElementById("heap-data").textContent);

const spans = {
  address: [], pages: [], spanClass: [], cellBytes: [], cells: [], inUse: [],
  type: [], state: [],
};

const classes = new Map();
for (const [id, kind, cellBytes, spanPages, spanCells, type, count, pages,
            cells, inUse] of heap.classes) {
  classes.set(id, {id, kind, cellBytes, spanPages, spanCells, type, count,
                   pages, cells, inUse});
}

const types = new Map();
for (const [id, name, isNamed, objects, bytes] of heap.types) {
  types.set(id, {id, name, isNamed: isNamed === 1, objects, bytes});
}

function addSpan(address, pages, spanClass, cellBytes, cells, inUse, type,
                 state) {
  spans.address.push(address);
  spans.pages.push(pages);
  spans.spanClass.push(spanClass);
  spans.cellBytes.push(cellBytes);
  spans.cells.push(cells);
  spans.inUse.push(inUse);
  spans.type.push(type);
  spans.state.push(state);
  return spans.address.length - 1;
}

// Turns an arena's list of numbers into a number for each page.
function decodeArena(arena) {
  const list = arena.pages;
  const pages = new Int32Array(heap.arenaPages).fill(OUTSIDE);
  let page = 0;
  const put = (what, count) => {
    const end = Math.min(page + count, heap.arenaPages);
    pages.fill(what, page, end);
    page = end;
  };
  arena.address = parseInt(arena.base, 16);
  const address = () => arena.address + page * heap.pageBytes;
  for (let i = 0; i < list.length;) {
    const code = list[i++];
    if (code < 4) {
      put(-1 - code, list[i++]);
    } else if (code === 4) {
      put(spans.address.length - 1, list[i++]);
    } else if (code === 5) {
      const [count, cellBytes, type, state, inUse] = list.slice(i, i + 5);
      i += 5;
      put(addSpan(address(), count, heap.largeClass, cellBytes, 1, inUse, type,
                  state), count);
    } else {
      const c = classes.get(code - 6);
      const inUse = list[i++];
      const state = list[i++];
      for (let n = list[i++]; n > 0; n--) {
        put(addSpan(address(), c.spanPages, c.id, c.cellBytes, c.spanCells,
                    inUse, c.type, state), c.spanPages);
      }
    }
  }
  arena.pages = pages;
}
heap.arenas.forEach(decodeArena);

const kindOf = (span) => classes.get(spans.spanClass[span]).kind;

// The run of equal pages that a page is in: its arena's [first, end).
function runAround(arena, page) {
  const {pages} = heap.arenas[arena];
  let first = page;
  let end = page + 1;
  while (first > 0 && pages[first - 1] === pages[page]) first--;
  while (end < pages.length && pages[end] === pages[page]) end++;
  return {first, end};
}

// The place of an address, or null if it is in no arena.
function placeOf(address) {
  const arenaBytes = heap.arenaPages * heap.pageBytes;
  const arena = heap.arenas.findIndex(
      (a) => address >= a.address && address < a.address + arenaBytes);
  if (arena < 0) return null;
  const offset = address - heap.arenas[arena].address;
  return {arena, page: Math.floor(offset / heap.pageBytes)};
}

// ---- Text

const hex = (address) => "0x" + address.toString(16);
const count = (n) => n.toLocaleString("en-US");
const plural = (n, what) => `${count(n)} ${what}${n === 1 ? "" : "s"}`;

function bytes(n) {
  let unit = 0;
  while (n >= 1024 && unit < 4) {
    n /= 1024;
    unit++;
  }
  const digits = unit === 0 || n >= 100 ? 0 : n >= 10 ? 1 : 2;
  return n.toFixed(digits) + " " + ["B", "KiB", "MiB", "GiB", "TiB"][unit];
}

function percent(part, whole) {
  return whole === 0 ? "0 %" : (100 * part / whole).toFixed(1) + " %";
}
