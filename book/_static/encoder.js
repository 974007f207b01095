// A Vision Transformer in plain JavaScript: forward with every attention map, and the gradient to the image by hand.
// Weights are a safetensors file (https://github.com/huggingface/safetensors), so nothing is trusted but numbers.
// Rows of all matrices are tokens: x is a Float32Array of tokens * width.
"use strict";

class VisionTransformer {
  // weights: ArrayBuffer of a safetensors file; card: {patch_size, prefix_tokens, heads, pooling, mean, std, size, channels}
  constructor(weights, card) {
    this.card = card;
    this.tensors = readSafetensors(weights);
    this.width = this.tensors["pos_embed"].shape[2];
    this.grid = card.size / card.patch_size;
    this.tokens = card.prefix_tokens + this.grid * this.grid;
    this.depth = 0;
    while (this.tensors[`blocks.${this.depth}.norm1.weight`]) this.depth++;
  }

  get(name) { return this.tensors[name].data; }

  // image: Float32Array (channels * size * size) in [0, 1] -> {representation, attention: [depth][heads * tokens * tokens]} and what backward needs
  forward(image) {
    const { card, width, tokens, grid } = this, heads = card.heads, part = width / heads, tape = [];
    let x = new Float32Array(tokens * width);
    const patch = card.patch_size, inputs = card.channels * patch * patch, patches = new Float32Array(grid * grid * inputs);
    this.eachPixel((token, input, pixel, channel) => { patches[token * inputs + input] = (image[pixel] - card.mean[channel]) / card.std[channel]; });
    const embedded = linear(patches, this.get("patch_embed.proj.weight"), this.get("patch_embed.proj.bias"), inputs, width);
    if (card.prefix_tokens) x.set(this.get("cls_token"));
    x.set(embedded, card.prefix_tokens * width);
    add(x, this.get("pos_embed"));
    for (let b = 0; b < this.depth; b++) {
      const of = (name) => this.get(`blocks.${b}.${name}`);
      const first = layerNorm(x, of("norm1.weight"), of("norm1.bias"), width);
      const qkv = linear(first.out, of("attn.qkv.weight"), of("attn.qkv.bias"), width, 3 * width);
      const attention = new Float32Array(heads * tokens * tokens), mixed = new Float32Array(tokens * width);
      for (let h = 0; h < heads; h++) attend(qkv, attention, mixed, h, part, tokens, width);
      x = add(linear(mixed, of("attn.proj.weight"), of("attn.proj.bias"), width, width), x);
      const second = layerNorm(x, of("norm2.weight"), of("norm2.bias"), width);
      const inner = of("mlp.fc1.bias").length;
      const before = linear(second.out, of("mlp.fc1.weight"), of("mlp.fc1.bias"), width, inner);
      x = add(linear(before.map(gelu), of("mlp.fc2.weight"), of("mlp.fc2.bias"), inner, width), x);
      tape.push({ first, qkv, attention, second, before, inner });
    }
    const last = layerNorm(x, this.get("norm.weight"), this.get("norm.bias"), width);
    const representation = new Float32Array(width);
    for (const token of this.pooled()) for (let i = 0; i < width; i++) representation[i] += last.out[token * width + i] / this.pooled().length;
    return { representation, attention: tape.map((block) => block.attention), tape, last };
  }

  // gradient of the representation's dot product with `direction` to the image
  backward({ tape, last }, direction) {
    const { card, width, tokens } = this, heads = card.heads, part = width / heads, pooled = this.pooled();
    let g = new Float32Array(tokens * width);
    for (const token of pooled) for (let i = 0; i < width; i++) g[token * width + i] = direction[i] / pooled.length;
    g = layerNormBackward(g, last, this.get("norm.weight"), width);
    for (let b = this.depth - 1; b >= 0; b--) {
      const of = (name) => this.get(`blocks.${b}.${name}`), { first, qkv, attention, second, before, inner } = tape[b];
      let d = linearBackward(g, of("mlp.fc2.weight"), inner, width);
      for (let i = 0; i < d.length; i++) d[i] *= geluSlope(before[i]);
      d = linearBackward(d, of("mlp.fc1.weight"), width, inner);
      add(g, layerNormBackward(d, second, of("norm2.weight"), width));
      d = linearBackward(g, of("attn.proj.weight"), width, width);
      const dqkv = new Float32Array(qkv.length);
      for (let h = 0; h < heads; h++) attendBackward(qkv, attention, d, dqkv, h, part, tokens, width);
      d = linearBackward(dqkv, of("attn.qkv.weight"), width, 3 * width);
      add(g, layerNormBackward(d, first, of("norm1.weight"), width));
    }
    const inputs = card.channels * card.patch_size ** 2;
    const d = linearBackward(g.subarray(card.prefix_tokens * width), this.get("patch_embed.proj.weight"), inputs, width);
    const image = new Float32Array(card.channels * card.size ** 2);
    this.eachPixel((token, input, pixel, channel) => { image[pixel] = d[token * inputs + input] / card.std[channel]; });
    return image;
  }

  pooled() { // tokens whose mean is the representation
    return this.card.pooling === "class_token" ? [0] : Array.from({ length: this.grid ** 2 }, (_, i) => i + this.card.prefix_tokens);
  }

  eachPixel(visit) {
    const { size, patch_size: p, channels } = this.card;
    for (let c = 0; c < channels; c++)
      for (let row = 0; row < size; row++)
        for (let column = 0; column < size; column++) {
          const token = Math.floor(row / p) * this.grid + Math.floor(column / p);
          visit(token, (c * p + (row % p)) * p + (column % p), (c * size + row) * size + column, c);
        }
  }

  // S(x) = f(x)/|f(x)| . z and its gradient to the image (lib/attribution/invariance_score.py)
  score(image, z) {
    const pass = this.forward(image), f = pass.representation, length = Math.hypot(...f);
    const value = dot(f, z) / length;
    const direction = z.map((zi, i) => zi / length - (value * f[i]) / length ** 2);
    return { value, gradient: this.backward(pass, direction) };
  }

  // mean of the normalised representations of views (lib/attribution/invariance_score.py)
  meanView(views) {
    const mean = new Float32Array(this.width);
    for (const view of views) {
      const f = this.forward(view).representation, length = Math.hypot(...f);
      for (let i = 0; i < mean.length; i++) mean[i] += f[i] / length / views.length;
    }
    return mean;
  }

  // SSLA by the paper's step rule (lib/attribution/ssla.py); a generator, so that the page stays alive between steps
  *ssla(image, z, steps = 10) {
    let x = Float32Array.from(image);
    const attribution = new Float32Array(x.length), scores = [];
    for (let t = 0; t < steps; t++) {
      const { value, gradient } = this.score(x, z);
      scores.push(value);
      x = x.map((xi, i) => {
        const moved = Math.min(1, Math.max(0, xi - (image[i] / steps) * Math.sign(gradient[i])));
        attribution[i] += gradient[i] * (xi - moved);
        return moved;
      });
      yield { step: t + 1, attribution, scores, x };
    }
    const f = this.forward(x).representation;
    scores.push(dot(f, z) / Math.hypot(...f));
    yield { step: steps, attribution, scores, x, done: true };
  }
}

function readSafetensors(buffer) {
  const length = Number(new DataView(buffer).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, length))), tensors = {};
  for (const [name, { dtype, shape, data_offsets: [from, to] }] of Object.entries(header)) {
    if (name === "__metadata__") continue;
    const bytes = buffer.slice(8 + length + from, 8 + length + to);
    if (dtype !== "F16" && dtype !== "F32") throw new Error(`${name} is ${dtype}, expected F16 or F32`);
    tensors[name] = { shape, data: dtype === "F32" ? new Float32Array(bytes) : Float32Array.from(new Uint16Array(bytes), half) };
  }
  return tensors;
}

function half(bits) { // IEEE 754 binary16
  const sign = bits & 0x8000 ? -1 : 1, exponent = (bits >> 10) & 31, fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return exponent === 31 ? (fraction ? NaN : sign * Infinity) : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

function dot(a, b) { let sum = 0; for (let i = 0; i < a.length; i++) sum += a[i] * b[i]; return sum; }
function add(to, what) { for (let i = 0; i < to.length; i++) to[i] += what[i]; return to; }

function linear(x, weight, bias, inputs, outputs) { // x (rows, inputs), weight (outputs, inputs) -> (rows, outputs); four outputs at once
  const rows = x.length / inputs, y = new Float32Array(rows * outputs);
  for (let r = 0; r < rows; r++)
    for (let o = 0; o < outputs; o += 4) {
      const a = r * inputs, b = o * inputs, c = b + inputs, d = c + inputs, e = d + inputs;
      let s0 = bias[o], s1 = bias[o + 1], s2 = bias[o + 2], s3 = bias[o + 3];
      for (let i = 0; i < inputs; i++) {
        const v = x[a + i];
        s0 += v * weight[b + i]; s1 += v * weight[c + i]; s2 += v * weight[d + i]; s3 += v * weight[e + i];
      }
      const at = r * outputs + o;
      y[at] = s0; y[at + 1] = s1; y[at + 2] = s2; y[at + 3] = s3;
    }
  return y;
}

function linearBackward(dy, weight, inputs, outputs) { // dy (rows, outputs) -> (rows, inputs)
  const rows = dy.length / outputs, dx = new Float32Array(rows * inputs);
  for (let r = 0; r < rows; r++)
    for (let o = 0, at = r * outputs; o < outputs; o += 4, at += 4) {
      const a = r * inputs, b = o * inputs, c = b + inputs, d = c + inputs, e = d + inputs;
      const d0 = dy[at], d1 = dy[at + 1], d2 = dy[at + 2], d3 = dy[at + 3];
      for (let i = 0; i < inputs; i++) dx[a + i] += d0 * weight[b + i] + d1 * weight[c + i] + d2 * weight[d + i] + d3 * weight[e + i];
    }
  return dx;
}

function layerNorm(x, weight, bias, width, epsilon = 1e-6) {
  const rows = x.length / width, out = new Float32Array(x.length), hat = new Float32Array(x.length), inverse = new Float32Array(rows);
  for (let r = 0; r < rows; r++) {
    let mean = 0, variance = 0;
    for (let i = 0; i < width; i++) mean += x[r * width + i] / width;
    for (let i = 0; i < width; i++) variance += (x[r * width + i] - mean) ** 2 / width;
    inverse[r] = 1 / Math.sqrt(variance + epsilon);
    for (let i = 0, j = r * width; i < width; i++, j++) { hat[j] = (x[j] - mean) * inverse[r]; out[j] = hat[j] * weight[i] + bias[i]; }
  }
  return { out, hat, inverse };
}

function layerNormBackward(dy, { hat, inverse }, weight, width) {
  const dx = new Float32Array(dy.length);
  for (let r = 0; r < inverse.length; r++) {
    let mean = 0, along = 0;
    for (let i = 0, j = r * width; i < width; i++, j++) { mean += (dy[j] * weight[i]) / width; along += (dy[j] * weight[i] * hat[j]) / width; }
    for (let i = 0, j = r * width; i < width; i++, j++) dx[j] = inverse[r] * (dy[j] * weight[i] - mean - hat[j] * along);
  }
  return dx;
}

function attend(qkv, attention, mixed, head, part, tokens, width) {
  const scale = 1 / Math.sqrt(part), offset = head * part, stride = 3 * width;
  for (let q = 0; q < tokens; q++) {
    const row = (head * tokens + q) * tokens;
    let largest = -Infinity, total = 0;
    for (let k = 0; k < tokens; k++) {
      let sum = 0;
      for (let i = 0, a = q * stride + offset, b = k * stride + width + offset; i < part; i++) sum += qkv[a + i] * qkv[b + i];
      attention[row + k] = sum * scale;
      largest = Math.max(largest, attention[row + k]);
    }
    for (let k = 0; k < tokens; k++) total += attention[row + k] = Math.exp(attention[row + k] - largest);
    for (let k = 0; k < tokens; k++) {
      const share = attention[row + k] /= total;
      for (let i = 0, a = q * width + offset, b = k * stride + 2 * width + offset; i < part; i++) mixed[a + i] += share * qkv[b + i];
    }
  }
}

function attendBackward(qkv, attention, dmixed, dqkv, head, part, tokens, width) {
  const scale = 1 / Math.sqrt(part), offset = head * part, stride = 3 * width, dshare = new Float32Array(tokens);
  for (let q = 0; q < tokens; q++) {
    const row = (head * tokens + q) * tokens;
    let along = 0;
    for (let k = 0; k < tokens; k++) {
      let sum = 0;
      const share = attention[row + k];
      for (let i = 0, a = q * width + offset, b = k * stride + 2 * width + offset; i < part; i++) {
        sum += dmixed[a + i] * qkv[b + i];
        dqkv[b + i] += share * dmixed[a + i];
      }
      dshare[k] = sum;
      along += share * sum;
    }
    for (let k = 0; k < tokens; k++) {
      const d = attention[row + k] * (dshare[k] - along) * scale;
      for (let i = 0, a = q * stride + offset, b = k * stride + width + offset; i < part; i++) {
        dqkv[a + i] += d * qkv[b + i];
        dqkv[b + i] += d * qkv[a + i];
      }
    }
  }
}

function erf(x) { // Abramowitz and Stegun 7.1.26: absolute error below 1.5e-7
  const t = 1 / (1 + 0.3275911 * Math.abs(x));
  const tail = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t * Math.exp(-x * x);
  return Math.sign(x) * (1 - tail);
}
function gelu(x) { return 0.5 * x * (1 + erf(x / Math.SQRT2)); }
function geluSlope(x) { return 0.5 * (1 + erf(x / Math.SQRT2)) + (x * Math.exp((-x * x) / 2)) / Math.sqrt(2 * Math.PI); }

if (typeof module !== "undefined") module.exports = { VisionTransformer };
