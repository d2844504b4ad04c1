// Colours and heat maps. All scales are readable for the colour-blind: cividis for sizes, blue to orange for signs.

const CIVIDIS = ["#00224e", "#123570", "#3b496c", "#575d6d", "#707173", "#8a8678", "#a59c74", "#c3b369", "#e1cc55",
  "#fee838"].map(rgb);
const SIGNED_LIGHT = ["#0b4c8c", "#3f83bf", "#9cc3e0", "#f5f3ee", "#f6c28b", "#e08a2e", "#a34d00"].map(rgb);
const SIGNED_DARK = ["#8cc8ff", "#4a94d6", "#22517c", "#1d2127", "#774410", "#d67f22", "#ffc27a"].map(rgb);
/** Okabe and Ito's colours, which stay apart for every kind of colour vision. */
const GROUPS = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8c8c8c", "#b8a800"];

function rgb(hex) { return [1, 3, 5].map(i => parseInt(hex.slice(i, i + 2), 16)); }

function blend(stops, share) {
  const x = Math.max(0, Math.min(1, share)) * (stops.length - 1), i = Math.min(stops.length - 2, Math.floor(x));
  return stops[i].map((low, k) => Math.round(low + (stops[i + 1][k] - low) * (x - i)));
}

const isDark = () => (document.documentElement.dataset.theme
  || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";

const cssColor = ([r, g, b]) => `rgb(${r},${g},${b})`;
/** Relative luminance as WCAG 2 has it, of which contrast is a quotient. */
const luminance = color => color.map(c => c / 255).map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
  .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
/** Black or white, whichever is easier to read on a colour. */
const inkOn = color => (luminance(color) + 0.05) ** 2 > 1.05 * 0.05 ? "#000" : "#fff";

/** A scale from `low` to `high`: {color(value), low, high, unit}. */
function sizes(low, high, unit = "") {
  const span = high - low || 1;
  return {low, high, unit, color: value => blend(CIVIDIS, (value - low) / span)};
}

/** A scale with its middle at zero. */
function signs(limit, unit = "") {
  const stops = isDark() ? SIGNED_DARK : SIGNED_LIGHT;
  return {low: -limit, high: limit, unit, color: value => blend(stops, 0.5 + value / (limit || 1) / 2)};
}

/** The scale that suits some values: by sign if there are two. */
function suited(values, unit) {
  const real = values.filter(Number.isFinite), low = Math.min(...real), high = Math.max(...real);
  if (!real.length) return sizes(0, 1, unit);
  return low < 0 ? signs(Math.max(-low, high), unit) : sizes(0, high, unit);
}

function legend(scale, title) {
  const stops = Array.from({length: 9}, (_, i) => cssColor(scale.color(scale.low + (scale.high - scale.low) * i / 8)));
  return el("div", {class: "legend"}, el("span", {}, title ? title + ": " : "", number(scale.low, 3)),
    el("i", {style: `background:linear-gradient(to right,${stops.join(",")})`}),
    el("span", {}, number(scale.high, 3) + (scale.unit ? " " + scale.unit : "")));
}

/**
 * A heat map: {rows, columns, value(r, c), scale, tip(r, c), title, rowLabel(r), columnLabel(c), chosen: [r, c],
 * choose(r, c), cell: [width, height], mark(r, c), stripe(c): a colour above a column; fit: [most, least, largest] makes
 * cells as wide as the map may be, within bounds}. Arrow keys move in it, Enter chooses.
 */
function heatMap(options) {
  const {rows, columns, value, scale} = options;
  const labels = options.rowLabel ? Math.max(...range(rows).map(r => options.rowLabel(r).length)) * 7 + 6 : 0;
  const longest = options.columnLabel ? Math.max(...range(columns).map(c => options.columnLabel(c).length)) : 0;
  const top = options.columnLabel ? 8 + longest * 4.8 : options.stripe ? 10 : labels ? 3 : 0;
  const [most, least, largest] = options.fit || [];
  const cellHeight = options.cell[1];
  const cellWidth = most ? clamp(Math.floor((Math.min(most, innerWidth - 66) - labels - longest * 3) / columns), least, largest) : options.cell[0];
  const canvas = el("canvas", {
    class: "heat", tabindex: options.tip ? 0 : null, role: "img", "aria-label": options.title,
    width: labels + columns * cellWidth + 1 + longest * 3, height: top + rows * cellHeight + 1,
    "data-cells": JSON.stringify({left: labels, top, width: cellWidth, height: cellHeight, rows, columns}),
  });
  const ratio = Math.min(3, window.devicePixelRatio || 1), width = canvas.width, height = canvas.height;
  canvas.width = width * ratio; canvas.height = height * ratio;
  canvas.style.width = width + "px";
  canvas.style.aspectRatio = `${width} / ${height}`;
  const pen = canvas.getContext("2d");
  let cursor = options.chosen || [0, 0];

  function draw() {
    const style = getComputedStyle(document.documentElement);
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    pen.font = "11px system-ui, sans-serif";
    pen.fillStyle = style.getPropertyValue("--muted");
    pen.textBaseline = "middle";
    pen.textAlign = "right";
    if (labels) for (const r of range(rows)) {
      if (cellHeight >= 10 || r % 2 === 0) pen.fillText(options.rowLabel(r), labels - 5, top + (r + 0.5) * cellHeight);
    }
    pen.textAlign = "left";
    if (options.columnLabel) for (const c of range(columns)) {
      pen.save();
      pen.translate(labels + (c + 0.5) * cellWidth, top - 4);
      pen.rotate(-Math.PI / 4);
      pen.fillText(options.columnLabel(c), 0, 0);
      pen.restore();
    }
    if (options.stripe) for (const c of range(columns)) {
      pen.fillStyle = options.stripe(c);
      pen.fillRect(labels + c * cellWidth, 0, cellWidth - 1, 7);
    }
    const gap = cellWidth >= 8 && cellHeight >= 8 ? 1 : 0;
    for (const r of range(rows)) for (const c of range(columns)) {
      const v = value(r, c), x = labels + c * cellWidth, y = top + r * cellHeight;
      if (v === null || v === undefined || Number.isNaN(v)) continue;
      pen.fillStyle = cssColor(scale.color(v));
      pen.fillRect(x, y, cellWidth - gap, cellHeight - gap);
      if (options.mark && options.mark(r, c)) {
        pen.fillStyle = inkOn(scale.color(v));
        pen.beginPath();
        pen.arc(x + cellWidth / 2, y + cellHeight / 2, Math.min(cellWidth, cellHeight) / 5, 0, 7);
        pen.fill();
      }
    }
    // Two lines, so that it shows on dark cells and on light ones.
    const ring = ([r, c], color) => {
      for (const [line, width] of [[style.getPropertyValue("--panel"), 5], [color, 2]]) {
        pen.strokeStyle = line;
        pen.lineWidth = width;
        pen.strokeRect(labels + c * cellWidth, top + r * cellHeight, cellWidth, cellHeight);
      }
    };
    if (options.chosen) ring(options.chosen, style.getPropertyValue("--ink"));
    if (document.activeElement === canvas && canvas.matches(":focus-visible")) {
      ring(cursor, style.getPropertyValue("--accent"));
    }
  }

  function cellAt(event) {
    const box = canvas.getBoundingClientRect();
    const c = Math.floor(((event.clientX - box.left) * width / box.width - labels) / cellWidth);
    const r = Math.floor(((event.clientY - box.top) * height / box.height - top) / cellHeight);
    return r >= 0 && r < rows && c >= 0 && c < columns ? [r, c] : null;
  }

  if (options.tip) {
    hover(canvas, event => {
      const cell = event ? cellAt(event) : cursor;
      return cell ? options.tip(...cell) : null;
    });
    canvas.addEventListener("keydown", event => {
      const [dr, dc] = {ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1]}[event.key] || [0, 0];
      if (dr || dc) {
        cursor = [clamp(cursor[0] + dr, 0, rows - 1), clamp(cursor[1] + dc, 0, columns - 1)];
        const box = canvas.getBoundingClientRect();
        const share = box.width / width;
        showTip(options.tip(...cursor), box.left + (labels + (cursor[1] + 1) * cellWidth) * share,
          box.top + (top + (cursor[0] + 1) * cellHeight) * share);
        draw();
      } else if (event.key === "Enter" && options.choose) {
        options.choose(...cursor);
      } else return;
      event.preventDefault();
      event.stopPropagation();
    });
    canvas.addEventListener("focus", draw);
    canvas.addEventListener("blur", draw);
  }
  if (options.choose) {
    canvas.classList.add("choosable");
    canvas.addEventListener("click", event => { const cell = cellAt(event); if (cell) options.choose(...cell); });
  }
  queueMicrotask(draw);
  return el("div", {class: "scroll heatbox"}, canvas);
}

const range = n => Array.from({length: n}, (_, i) => i);
const clamp = (x, low, high) => Math.max(low, Math.min(high, x));

/** The cells of a recorded tensor's picture. */
function pictureCells(picture) {
  return picture.values || (picture.values = words(picture.cells, 2).map(bits => half(bits) * picture.scale));
}

/** First and last index of the elements that a cell stands for. */
function bin(index, cells, elements) {
  return [Math.floor(index * elements / cells), Math.floor((index + 1) * elements / cells) - 1];
}
const span = ([first, last]) => first === last ? `${first}` : `${first}–${last}`;

/** A block: its bytes by fields, and its codes. */
function blockDetails(b, formula) {
  const hex = b.hex.match(/../g);
  const fieldOf = i => b.fields.findIndex(f => i >= f.first && i < f.first + f.count);
  const subSize = b.sub_scales.length ? b.codes.length / b.sub_scales.length : b.codes.length;
  const codes = suited(b.codes);
  const describe = i => {
    const sub = Math.floor(i / subSize);
    const parts = b.sub_scales.length ? `sub-block ${sub}: scale ${number(b.sub_scales[sub])}` + (b.sub_mins.length ? `, min ${number(b.sub_mins[sub])}` : "")
      : `scale ${number(b.scale)}` + (b.min !== undefined ? `, min ${number(b.min)}` : "");
    return `weight ${i} of the block (column ${b.block * b.codes.length + i})\ncode ${b.codes[i]} → ${number(b.values[i])}\n${parts}`
      + (b.before.length ? `\nbefore ${number(b.before[i])}, error ${number(b.values[i] - b.before[i])}` : "");
  };
  const rmse = b.before.length ? Math.sqrt(b.before.reduce((sum, x, i) => sum + (x - b.values[i]) ** 2, 0) / b.before.length) : null;
  return [el("p", {class: "formula"}, formula),
  el("div", {class: "columns"}, el("div", {},
    el("h3", {}, `${hex.length} bytes` + (b.file_offset === undefined ? ", made for this page from unquantised weights" : ` from byte ${grouped(b.file_offset)} of the file`)),
    el("p", {class: "hex"}, roving(hex.map((byte, i) => hover(el("span", {style: `--kind:${GROUPS[fieldOf(i) % GROUPS.length]}`}, byte),
      () => { const f = b.fields[fieldOf(i)]; return f ? `byte ${i}: ${f.name}\n${f.meaning}` : `byte ${i}`; })))),
    el("ul", {class: "fields"}, b.fields.map((f, i) => el("li", {}, el("span", {class: "kind", style: `--kind:${GROUPS[i % GROUPS.length]}`}, f.name),
      ` ${f.count === 1 ? `byte ${f.first}` : `bytes ${f.first} to ${f.first + f.count - 1}`}: ${f.meaning}`))),
    facts([["scale", number(b.scale, 6)], b.min === undefined ? null : ["min", number(b.min, 6)], rmse === null ? null : ["rms error", number(rmse)]])),
  el("div", {}, el("h3", {}, "Codes"), el("div", {class: "codes"}, roving(b.codes.map((value, i) => {
    const color = codes.color(value);
    return hover(el("span", {"data-code": i, style: `background:${cssColor(color)};color:${inkOn(color)}`}, String(value)), () => describe(i));
  }), 16)), legend(codes, "code"), note("Point at a code for its value.")))];
}
