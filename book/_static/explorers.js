// Explorers: parts of a page that can be touched. Each is <div class="explorer" data-explorer="KIND"> with a still picture, a table and its
// data as JSON (lib/report/explorers.py); without this script the still picture and the table remain. Nothing is loaded from elsewhere.
"use strict";
(() => {
  const STATIC = new URL(".", document.currentScript.src).href;
  const SCALE = [[0, 0, 4], [66, 10, 104], [147, 38, 103], [221, 81, 58], [252, 165, 10], [252, 255, 164]]; // inferno: lightness rises throughout

  const bytes = (base64) => Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  const percent = (share) => `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`;
  const signed = (value, digits = 2) => value.toFixed(digits).replace("-", "−");

  function make(tag, attributes = {}, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes))
      if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else node.setAttribute(name, value);
    node.append(...children);
    return node;
  }

  function vector(tag, attributes = {}, ...children) {
    const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    node.append(...children);
    return node;
  }

  const colour = (share) => {
    const at = Math.min(0.9999, Math.max(0, share)) * (SCALE.length - 1), low = Math.floor(at), part = at - low;
    return SCALE[low].map((from, i) => from + part * (SCALE[low + 1][i] - from));
  };

  // values in [0, 1] of rows * columns as colours; one canvas pixel a value, enlarged by the style sheet
  function drawHeat(canvas, values, rows, columns) {
    [canvas.width, canvas.height] = [columns, rows];
    const picture = new ImageData(columns, rows);
    values.forEach((value, i) => picture.data.set([...colour(value), 255], 4 * i));
    canvas.getContext("2d").putImageData(picture, 0, 0);
  }

  // bytes (channels, height, width)
  function drawImage(canvas, data, [height, width, channels], dim = () => 1) {
    [canvas.width, canvas.height] = [width, height];
    const picture = new ImageData(width, height), area = height * width;
    for (let i = 0; i < area; i++)
      picture.data.set([0, 1, 2].map((c) => data[(channels === 3 ? c : 0) * area + i] * dim(i)).concat(255), 4 * i);
    canvas.getContext("2d").putImageData(picture, 0, 0);
  }

  const map = (label) => make("canvas", { role: "img", "aria-label": label, class: "map" });
  const figure = (canvas, caption) => make("figure", {}, canvas, make("figcaption", {}, caption));

  let fields = 0;
  function slider(name, count, value, say, input) {
    const id = `explorer-${++fields}`, output = make("output", { for: id }, say(value));
    const range = make("input", { id, type: "range", min: 0, max: count - 1, step: 1, value });
    const tell = () => range.setAttribute("aria-valuetext", output.value);
    range.addEventListener("input", () => { output.value = say(+range.value); tell(); input(+range.value); });
    tell();
    return make("div", { class: "field" }, make("label", { for: id }, name), range, output);
  }

  function choice(name, labels, input) {
    const id = `explorer-${++fields}`;
    const select = make("select", { id, onchange: (event) => input(event.target.selectedIndex) }, ...labels.map((label) => make("option", {}, label)));
    return make("div", { class: "field" }, make("label", { for: id }, name), select);
  }

  function thumbnails(data, input) { // one button an image
    const row = make("div", { class: "thumbnails", role: "group", "aria-label": "image" });
    data.images.forEach((image, i) => {
      const canvas = make("canvas", { "aria-hidden": "true" });
      drawImage(canvas, bytes(image.pixels), data.size);
      row.append(make("button", { type: "button", "aria-pressed": i === 0, "aria-label": `${image.label}, image ${i + 1}`, onclick: () => {
        [...row.children].forEach((button, k) => button.setAttribute("aria-pressed", k === i));
        input(i);
      } }, canvas));
    });
    return row;
  }

  // an image whose patches can be chosen by mouse, finger and arrow keys
  function picker(data, start, input) {
    const [rows, columns] = data.grid, canvas = make("canvas", { "aria-hidden": "true" });
    const node = make("div", { class: "picker", tabindex: 0, role: "application", "aria-roledescription": "patch picker" }, canvas);
    const square = make("span", { class: "query", "aria-hidden": "true" });
    node.append(square);
    let [row, column] = start;
    const show = () => {
      Object.assign(square.style, { left: `${(100 * column) / columns}%`, top: `${(100 * row) / rows}%`, width: `${100 / columns}%`, height: `${100 / rows}%` });
      node.setAttribute("aria-label", `Patch in row ${row + 1}, column ${column + 1} of ${rows} by ${columns}; arrow keys choose another`);
    };
    const choose = (r, c) => {
      const clamp = (value, count) => Math.max(0, Math.min(count - 1, value));
      [row, column] = [clamp(r, rows), clamp(c, columns)];
      show();
      input(row * columns + column);
    };
    const at = (event) => {
      const box = canvas.getBoundingClientRect();
      choose(Math.floor(((event.clientY - box.top) / box.height) * rows), Math.floor(((event.clientX - box.left) / box.width) * columns));
    };
    node.addEventListener("pointerdown", (event) => { node.focus({ preventScroll: true }); node.setPointerCapture(event.pointerId); at(event); event.preventDefault(); });
    node.addEventListener("pointermove", (event) => { if (event.buttons) at(event); });
    node.addEventListener("keydown", (event) => {
      const move = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
      if (move) { choose(row + move[0], column + move[1]); event.preventDefault(); }
    });
    show();
    return { node, canvas, query: () => row * columns + column };
  }

  // lines over a common axis, named at their ends; {name, values, kind}; returns the drawing and a function that moves the marker
  function chart(curves, { x, label, low = Math.min(0, ...curves.flatMap((c) => c.values)), high = Math.max(...curves.flatMap((c) => c.values)) }) {
    const [width, height, left, right, top, bottom] = [340, 170, 40, 100, 10, 30];
    const across = (i, count) => left + (i / Math.max(1, count - 1)) * (width - left - right);
    const up = (value) => top + (1 - (value - low) / (high - low || 1)) * (height - top - bottom);
    const svg = vector("svg", { viewBox: `0 0 ${width} ${height}`, class: "chart", role: "img", "aria-label": label });
    svg.append(vector("path", { d: `M${left} ${top}V${height - bottom}H${width - right}`, class: "axis" }));
    for (const value of [low, (low + high) / 2, high]) {
      svg.append(vector("text", { x: left - 4, y: up(value) + 4, "text-anchor": "end" }, signed(value, high - low > 20 ? 0 : high - low < 0.1 ? 3 : 2)));
    }
    svg.append(vector("text", { x: (left + width - right) / 2, y: height - 4, "text-anchor": "middle" }, x));
    const ends = curves.map(({ values }) => up(values[values.length - 1]));
    const order = ends.map((_, i) => i).sort((a, b) => ends[a] - ends[b]);
    order.forEach((i, k) => { if (k) ends[i] = Math.max(ends[i], ends[order[k - 1]] + 14); }); // names do not touch
    const over = Math.max(0, ends[order[order.length - 1]] - (height - 6));
    curves.forEach(({ name, values, kind = "" }, i) => {
      svg.append(vector("path", { d: values.map((v, k) => `${k ? "L" : "M"}${across(k, values.length).toFixed(1)} ${up(v).toFixed(1)}`).join(""), class: `curve ${kind} c${i}` }));
      svg.append(vector("text", { x: width - right + 6, y: ends[i] - over + 4, class: `name c${i}` }, name));
    });
    const marker = vector("path", { class: "marker" });
    svg.append(marker);
    return { node: svg, mark: (i, count) => marker.setAttribute("d", `M${across(i, count).toFixed(1)} ${top}V${height - bottom}`) };
  }

  // sqrt-coded maps (depth, queries, keys) -> shares of one query at one block
  const shares = (coded, block, query, patches) => Array.from(coded.subarray((block * patches + query) * patches, (block * patches + query + 1) * patches), (v) => (v / 255) ** 2);

  function distance(share, query, [, columns], patch) {
    return share.reduce((sum, a, key) => sum + a * patch * Math.hypot(Math.floor(key / columns) - Math.floor(query / columns), (key % columns) - (query % columns)), 0);
  }

  // a row of maps, one a block, for one encoder
  function mapRow(label, depth) {
    const canvases = Array.from({ length: depth }, (_, b) => map(`${label}, block ${b + 1}`));
    const said = make("span", { class: "said" });
    return {
      node: make("div", { class: "map-row" }, make("p", {}, make("strong", {}, label), " ", said), make("div", { class: "maps" }, ...canvases.map((c, b) => figure(c, `${b + 1}`)))),
      show(coded, query, data) {
        const patches = data.grid[0] * data.grid[1];
        const reach = canvases.map((canvas, b) => {
          const share = shares(coded, b, query, patches), most = Math.max(...share);
          drawHeat(canvas, share.map((a) => a / (most || 1)), ...data.grid);
          return distance(share, query, data.grid, data.patch);
        });
        said.textContent = `looks ${reach[0].toFixed(1)} px away in block 1, ${reach[depth - 1].toFixed(1)} px in block ${depth}`;
      },
    };
  }

  const kinds = {
    attention(root, data) {
      let image = 0;
      const coded = data.encoders.map((e) => e.maps.map(bytes)), rows = data.encoders.map((e) => mapRow(e.label, e.depth));
      const show = () => rows.forEach((row, e) => row.show(coded[e][image], pick.query(), data));
      const pick = picker(data, data.query, show);
      const paint = () => drawImage(pick.canvas, bytes(data.images[image].pixels), data.size);
      root.append(make("div", { class: "side" }, pick.node, thumbnails(data, (i) => { image = i; paint(); show(); })), make("div", { class: "main" }, ...rows.map((r) => r.node)));
      paint();
      show();
    },

    path(root, data) {
      let image = 0, step = data.steps;
      const panels = data.encoders.map((e) => ({ walked: map(`${e.label}: image along the path`), found: map(`${e.label}: attribution so far`), said: make("figcaption") }));
      const place = make("div");
      let drawing;
      const curves = () => {
        drawing = chart(data.encoders.map((e) => ({ name: e.label, values: e.runs[image].scores, kind: e.family })), { x: "step", label: "score along the path", high: 1 });
        place.replaceChildren(drawing.node);
      };
      const show = () => {
        const area = data.size[0] * data.size[1], all = area * data.size[2];
        data.encoders.forEach((e, i) => {
          const run = e.runs[image], { walked, found, said } = panels[i];
          drawImage(walked, bytes(run.images).subarray(step * all, (step + 1) * all), data.size);
          drawHeat(found, Array.from(bytes(run.attributions).subarray(step * area, (step + 1) * area), (v) => v / 255), data.size[0], data.size[1]);
          said.textContent = `score ${signed(run.scores[step])}, fallen by ${signed(run.scores[0] - run.scores[step])}; attribution sums to ${signed(run.sums[step])}`;
        });
        drawing.mark(step, data.steps + 1);
      };
      root.append(
        make("div", { class: "side" }, thumbnails(data, (i) => { image = i; curves(); show(); }), slider("step of the path", data.steps + 1, step, (t) => `${t} of ${data.steps}`, (t) => { step = t; show(); }), place),
        make("div", { class: "main panels" }, ...panels.map((p, i) => make("figure", {}, make("strong", {}, data.encoders[i].label), make("div", { class: "pair" }, p.walked, p.found), p.said))),
      );
      curves();
      show();
    },

    attack(root, data) {
      const strategies = Object.keys(data.encoders[0].runs[0]);
      let image = 0, rate = Math.floor(data.rates.length / 2), encoder = 0;
      const panels = strategies.map((name) => ({ kept: map(`${name} pixels protected`), seen: map(`${name} pixels protected: attacked image`), said: make("figcaption") }));
      const place = make("div");
      let drawing;
      const curves = () => {
        const run = data.encoders[encoder].runs[image];
        drawing = chart(strategies.map((name) => ({ name, values: run[name].scores })), { x: "share protected", label: "similarity left by share protected", low: Math.min(...strategies.flatMap((name) => run[name].scores)), high: 1 });
        place.replaceChildren(drawing.node);
      };
      const show = () => {
        const all = data.size[0] * data.size[1] * data.size[2], clean = bytes(data.images[image].pixels);
        strategies.forEach((name, s) => {
          const run = data.encoders[encoder].runs[image][name], from = bytes(run.protected_from), { kept, seen, said } = panels[s];
          drawImage(kept, clean, data.size, (i) => (from[i] <= rate ? 1 : 0.25));
          drawImage(seen, bytes(run.images).subarray(rate * all, (rate + 1) * all), data.size);
          said.textContent = `similarity left: ${signed(run.scores[rate], 3)}`;
        });
        drawing.mark(rate, data.rates.length);
      };
      root.append(
        make("div", { class: "side" }, choice("encoder", data.encoders.map((e) => e.label), (e) => { encoder = e; curves(); show(); }), thumbnails(data, (i) => { image = i; curves(); show(); }),
          slider("share protected", data.rates.length, rate, (r) => percent(data.rates[r]), (r) => { rate = r; show(); }), place),
        make("div", { class: "main panels" }, ...panels.map((p, s) => make("figure", {}, make("strong", {}, `${strategies[s]} protected`), make("div", { class: "pair" }, p.kept, p.seen), p.said))),
      );
      curves();
      show();
    },

    hybrid(root, data) {
      let image = 0, at = 0;
      const coded = data.encoders.map((e) => e.maps.map(bytes)), row = mapRow("attention of the chosen patch", data.encoders[0].depth), said = make("p", { "aria-live": "polite" });
      const readings = Object.entries(data.readings).map(([name, values]) => ({ name, values }));
      const scores = readings.map(({ name, values }) => ({ name, ...chart([{ name, values }], { x: "λ", label: `${name} by λ`, low: Math.min(...values) - 0.01, high: Math.max(...values) + 0.01 }) }));
      const pick = picker(data, data.query, () => show());
      const paint = () => drawImage(pick.canvas, bytes(data.images[image].pixels), data.size);
      const show = () => {
        row.show(coded[at][image], pick.query(), data);
        scores.forEach((s) => s.mark(at, data.encoders.length));
        said.textContent = `λ = ${data.weights[at]}: ${readings.map(({ name, values }) => `${name} ${percent(values[at])}`).join(", ")}.`;
      };
      root.append(
        make("div", { class: "side" }, pick.node, thumbnails(data, (i) => { image = i; paint(); show(); })),
        make("div", { class: "main" }, slider("share λ of the contrastive loss", data.weights.length, 0, (k) => `${data.weights[k]}`, (k) => { at = k; show(); }), row.node, said,
          make("div", { class: "panels wide" }, ...scores.map((s) => s.node))),
      );
      paint();
      show();
    },

    tokens(root, data) {
      let encoder = 0, chosen = 0;
      const patches = data.grid[0] * data.grid[1], canvas = make("canvas", { "aria-hidden": "true" }), said = make("p", { "aria-live": "polite" });
      const node = make("div", { class: "cloud", tabindex: 0, role: "application", "aria-roledescription": "token map" }, canvas);
      const thumb = map("image of the chosen token"), square = make("span", { class: "query", "aria-hidden": "true" }), holder = make("div", { class: "picker small" }, thumb, square);
      const side = 640, points = data.encoders.map((e) => {
        const [xs, ys] = [0, 1].map((k) => e.points.filter((_, i) => i % 2 === k));
        const fit = (values) => { const [low, high] = [Math.min(...values), Math.max(...values)]; return values.map((v) => 16 + ((v - low) / (high - low)) * (side - 32)); };
        const [px, py] = [fit(xs), fit(ys)];
        return px.map((v, i) => [v, py[i]]);
      });
      const hue = (i) => `hsl(${(i * 360) / data.classes.length + 210} 65% 55%)`;
      const show = () => {
        [canvas.width, canvas.height] = [side, side];
        const pen = canvas.getContext("2d"), mine = Math.floor(chosen / patches);
        points[encoder].forEach(([x, y], i) => {
          const own = Math.floor(i / patches) === mine, kind = data.images[Math.floor(i / patches)].class;
          pen.globalAlpha = own ? 1 : 0.45;
          pen.fillStyle = hue(kind);
          pen.beginPath();
          const r = own ? 9 : 5;
          if (kind === 0) pen.arc(x, y, r, 0, 7);
          else if (kind === 1) pen.rect(x - r, y - r, 2 * r, 2 * r);
          else { pen.moveTo(x, y - r - 2); pen.lineTo(x + r + 1, y + r); pen.lineTo(x - r - 1, y + r); pen.closePath(); }
          pen.fill();
          if (i === chosen) { pen.globalAlpha = 1; pen.strokeStyle = getComputedStyle(node).color; pen.lineWidth = 4; pen.beginPath(); pen.arc(x, y, 16, 0, 7); pen.stroke(); }
        });
        const token = chosen % patches, image = data.images[mine];
        drawImage(thumb, bytes(image.pixels), data.size);
        Object.assign(square.style, { left: `${(100 * (token % data.grid[1])) / data.grid[1]}%`, top: `${(100 * Math.floor(token / data.grid[1])) / data.grid[0]}%`, width: `${100 / data.grid[1]}%`, height: `${100 / data.grid[0]}%` });
        const name = `${image.label}, image ${mine + 1}, patch in row ${Math.floor(token / data.grid[1]) + 1}, column ${(token % data.grid[1]) + 1}`;
        said.textContent = `${name}. Large marks are the other tokens of this image. Of the tokens nearest to one, ${Math.round(100 * data.encoders[encoder].own)} % are of its own image.`;
        node.setAttribute("aria-label", `${data.encoders[encoder].label}: ${name}; left and right choose a token, up and down an image`);
      };
      const near = (event) => {
        const box = canvas.getBoundingClientRect(), [x, y] = [((event.clientX - box.left) / box.width) * side, ((event.clientY - box.top) / box.height) * side];
        chosen = points[encoder].reduce((best, [a, b], i) => { const d = (a - x) ** 2 + (b - y) ** 2; return d < best[0] ? [d, i] : best; }, [Infinity, 0])[1];
        show();
      };
      node.addEventListener("pointerdown", (event) => { node.focus({ preventScroll: true }); near(event); });
      node.addEventListener("pointermove", near);
      node.addEventListener("keydown", (event) => {
        const move = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -patches, ArrowDown: patches }[event.key], count = points[0].length;
        if (move) { chosen = (chosen + move + count) % count; show(); event.preventDefault(); }
      });
      root.append(make("div", { class: "main" }, choice("encoder", data.encoders.map((e) => e.label), (e) => { encoder = e; show(); }), node), make("div", { class: "side" }, holder, said,
        make("p", { class: "key" }, ...data.classes.map((name, i) => make("span", { style: `--hue: ${hue(i)}` }, `${"●■▲"[Math.min(i, 2)]} ${name} `)))));
      show();
    },

    directions(root, data) {
      let image = 0, direction = 0;
      const panels = data.encoders.map((e) => ({ canvas: map(`${e.label}: tokens along the direction`), said: make("figcaption") })), place = make("div");
      let drawing;
      const curves = () => {
        drawing = chart(data.encoders.map((e) => ({ name: e.label, values: e.runs[image].logs, kind: e.family })), { x: "direction", label: "log variance by direction" });
        place.replaceChildren(drawing.node);
      };
      const show = () => {
        const patches = data.grid[0] * data.grid[1];
        data.encoders.forEach((e, i) => {
          const run = e.runs[image];
          drawHeat(panels[i].canvas, Array.from(bytes(run.projections).subarray(direction * patches, (direction + 1) * patches), (v) => v / 255), ...data.grid);
          const most = run.shares.slice(0, direction + 1).reduce((a, b) => a + b, 0);
          panels[i].said.textContent = `${percent(run.shares[direction])} of the variance, ${percent(most)} with those before`;
        });
        drawing.mark(direction, data.directions);
      };
      root.append(
        make("div", { class: "side" }, thumbnails(data, (i) => { image = i; curves(); show(); }), slider("direction", data.directions, 0, (k) => `${k + 1} of ${data.directions}`, (k) => { direction = k; show(); }), place),
        make("div", { class: "main panels" }, ...panels.map((p, i) => make("figure", {}, make("strong", {}, data.encoders[i].label), p.canvas, p.said))),
      );
      curves();
      show();
    },

    // the encoder itself in the page: weights are loaded when asked for
    encoder(root, data) {
      const start = make("button", { type: "button", class: "start", onclick: load }, `Load the encoders (${data.megabytes} MB, from this book)`), said = make("p", { "aria-live": "polite" });
      root.append(start, said);
      const script = (address) => new Promise((done, failed) => document.head.append(make("script", { src: STATIC + address, onload: done, onerror: () => failed(new Error(`${address} cannot be read`)) })));

      async function load() {
        start.disabled = true;
        said.textContent = "Loading …";
        window.studyWeights ??= {};
        try {
          await script("encoder.js");
          for (const encoder of data.encoders) await script(encoder.script);
        } catch (error) { said.textContent = `Not loaded: ${error.message}.`; start.disabled = false; return; }
        const models = data.encoders.map((e) => new VisionTransformer(bytes(window.studyWeights[e.name]).buffer, e.card));
        start.remove();
        run(models);
      }

      function run(models) {
        const card = data.encoders[0].card, grid = [card.size / card.patch_size, card.size / card.patch_size], size = [card.size, card.size, card.channels];
        const canvas = make("canvas", { width: 280, height: 280, class: "paper", role: "img", tabindex: 0, "aria-label": "Draw here with mouse or finger, or drop a picture" });
        const pen = canvas.getContext("2d", { willReadFrequently: true });
        let image = new Float32Array(card.channels * card.size ** 2), passes = [], working = 0;
        const pick = picker({ grid }, [Math.floor(grid[0] / 2), Math.floor(grid[1] / 2)], () => show());
        const rows = data.encoders.map((e) => mapRow(e.label, models[data.encoders.indexOf(e)].depth));
        const found = data.encoders.map((e) => map(`${e.label}: SSLA attribution`)), marks = data.encoders.map(() => make("figcaption"));

        function read() { // the drawing as the encoder takes it: the mean of each pixel's square, grey for one channel
          const step = 280 / card.size, seen = pen.getImageData(0, 0, 280, 280).data, area = card.size ** 2;
          image = new Float32Array(card.channels * area);
          for (let y = 0; y < 280; y++)
            for (let x = 0; x < 280; x++) {
              const at = 4 * (y * 280 + x), to = Math.min(card.size - 1, Math.floor(y / step)) * card.size + Math.min(card.size - 1, Math.floor(x / step));
              const rgb = [seen[at], seen[at + 1], seen[at + 2]].map((v) => v / 255 / step ** 2);
              if (card.channels === 3) rgb.forEach((v, c) => { image[c * area + to] += v; });
              else image[to] += 0.2989 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2];
            }
          image = image.map((v) => Math.min(1, v));
          see();
        }

        function see() {
          drawImage(pick.canvas, image.map((v) => 255 * v), size);
          const began = performance.now();
          passes = models.map((m) => m.forward(image).attention.map((a) => averagedHeads(a, m)));
          root.dataset.milliseconds = Math.round(performance.now() - began);
          show();
          said.textContent = `Two forward passes took ${root.dataset.milliseconds} ms in this browser.`;
        }

        function show() {
          if (!passes.length) return;
          const patches = grid[0] * grid[1];
          rows.forEach((row, e) => {
            const coded = new Float32Array(passes[e].length * patches * patches);
            passes[e].forEach((a, b) => coded.set(a.map((v) => 255 * Math.sqrt(v)), b * patches * patches));
            row.show(coded, pick.query(), { grid, patch: card.patch_size });
          });
        }

        const draw = (event) => {
          if (!event.buttons) return;
          const box = canvas.getBoundingClientRect();
          pen.fillStyle = tool.value === "eraser" ? "#000" : tool.value;
          pen.beginPath();
          pen.arc(((event.clientX - box.left) / box.width) * 280, ((event.clientY - box.top) / box.height) * 280, 14, 0, 7);
          pen.fill();
        };
        canvas.addEventListener("pointerdown", (event) => { canvas.setPointerCapture(event.pointerId); draw(event); event.preventDefault(); });
        canvas.addEventListener("pointermove", draw);
        canvas.addEventListener("pointerup", read);
        const place = async (file) => {
          try {
            const bitmap = await createImageBitmap(file), side = Math.min(bitmap.width, bitmap.height);
            pen.drawImage(bitmap, (bitmap.width - side) / 2, (bitmap.height - side) / 2, side, side, 0, 0, 280, 280);
            read();
          } catch { said.textContent = "That file is not a picture that this browser can read."; }
        };
        canvas.addEventListener("dragover", (event) => event.preventDefault());
        canvas.addEventListener("drop", (event) => { event.preventDefault(); if (event.dataTransfer.files.length) place(event.dataTransfer.files[0]); });
        const tool = make("select", { "aria-label": "pen" }, ...[["#fff", "white"], ["#999", "grey"], ["#555", "dark grey"], ["eraser", "eraser"]].map(([value, name]) => make("option", { value }, name)));
        const clear = () => { pen.fillStyle = "#000"; pen.fillRect(0, 0, 280, 280); };

        async function attribute() { // SSLA with views made here: crops, brightness and contrast
          const own = ++working;
          for (const [e, model] of models.entries()) {
            marks[e].textContent = "views …";
            await new Promise(requestAnimationFrame);
            const z = model.meanView(views(image, card));
            for (const state of model.ssla(image, z, 10)) {
              if (own !== working) return;
              const area = card.size ** 2, one = Array.from({ length: area }, (_, i) => { let sum = 0; for (let c = 0; c < card.channels; c++) sum += state.attribution[c * area + i]; return sum; });
              const most = Math.max(...one, 1e-12);
              drawHeat(found[e], one.map((v) => v / most), card.size, card.size);
              marks[e].textContent = state.done ? `score fell from ${signed(state.scores[0])} to ${signed(state.scores[10])}` : `step ${state.step} of 10`;
              await new Promise((done) => setTimeout(done));
            }
          }
          root.dataset.attributed = "true";
        }

        const pictures = { images: data.images, size };
        root.append(
          make("div", { class: "side" }, canvas,
            make("div", { class: "field" }, tool, make("button", { type: "button", onclick: () => { clear(); read(); } }, "clear")),
            make("label", { class: "field" }, "or a picture ", make("input", { type: "file", accept: "image/*", onchange: (event) => event.target.files.length && place(event.target.files[0]) })),
            thumbnails(pictures, (i) => use(i))),
          make("div", { class: "main" }, make("div", { class: "choose" }, pick.node, make("p", {}, "What the encoders see. Choose a patch: the maps show where it looks, block by block, heads averaged.")), ...rows.map((r) => r.node),
            make("button", { type: "button", class: "attribute", onclick: attribute }, "Which pixels keep it recognisable? (SSLA, 10 steps)"),
            make("div", { class: "panels" }, ...found.map((c, e) => make("figure", {}, make("strong", {}, data.encoders[e].label), c, marks[e])))),
        );
        function use(i) {
          image = Float32Array.from(bytes(data.images[i].pixels), (v) => v / 255);
          const small = make("canvas");
          drawImage(small, bytes(data.images[i].pixels), size);
          pen.imageSmoothingEnabled = false;
          pen.drawImage(small, 0, 0, 280, 280);
          see();
        }
        clear();
        use(0);
        root.study = { models, see, image: () => image }; // for tests
      }
    },
  };

  // attention (heads, tokens, tokens) -> patches to patches, heads averaged, prefix removed, rows normalised again
  function averagedHeads(attention, model) {
    const { tokens } = model, prefix = model.card.prefix_tokens, patches = tokens - prefix, heads = model.card.heads, out = new Float32Array(patches * patches);
    for (let h = 0; h < heads; h++)
      for (let q = 0; q < patches; q++) {
        let total = 0;
        const row = (h * tokens + q + prefix) * tokens + prefix;
        for (let k = 0; k < patches; k++) total += attention[row + k];
        for (let k = 0; k < patches; k++) out[q * patches + k] += attention[row + k] / total / heads;
      }
    return out;
  }

  function views(image, { size, channels }, count = 8) { // crops of 20 to 100 % of the area, brightness and contrast by up to 40 %; drawn anew by a fixed rule
    let state = 1;
    const random = () => { state = (state * 16807) % 2147483647; return state / 2147483647; };
    return Array.from({ length: count }, () => {
      const side = size * Math.sqrt(0.2 + 0.8 * random()), top = random() * (size - side), left = random() * (size - side), gain = 0.6 + 0.8 * random(), contrast = 0.6 + 0.8 * random();
      const mean = image.reduce((a, b) => a + b, 0) / image.length, view = new Float32Array(image.length);
      for (let c = 0; c < channels; c++)
        for (let y = 0; y < size; y++)
          for (let x = 0; x < size; x++) {
            const r = Math.min(size - 1.001, Math.max(0, top + ((y + 0.5) / size) * side - 0.5)), q = Math.min(size - 1.001, Math.max(0, left + ((x + 0.5) / size) * side - 0.5));
            const [i, j, a, b] = [Math.floor(r), Math.floor(q), r % 1, q % 1], at = (k, l) => image[(c * size + k) * size + l];
            const value = (1 - a) * ((1 - b) * at(i, j) + b * at(i, j + 1)) + a * ((1 - b) * at(i + 1, j) + b * at(i + 1, j + 1));
            view[(c * size + y) * size + x] = Math.min(1, Math.max(0, gain * (mean + contrast * (value - mean))));
          }
      return view;
    });
  }

  document.addEventListener("DOMContentLoaded", () => {
    for (const explorer of document.querySelectorAll(".explorer:not(.ready)")) {
      const live = make("div", { class: "live" });
      explorer.querySelector(".still").after(live);
      kinds[explorer.dataset.explorer](live, JSON.parse(explorer.querySelector('script[type="application/json"]').textContent));
      explorer.classList.add("ready");
    }
  });
})();
