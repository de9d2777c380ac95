// Draws the run: lanes, faults, messages, operations.

const view = { from: 0, to: end };
let cursor = broken ? broken.at : end;
const canvas = $("chart"), pen = canvas.getContext("2d");
let width = 0, height = 0, gutter = 64, hits = [], theme = {};
const AXIS = 30, ROW = 22, ROWS = 9, LANE = 78, CLIENT = 30, BAR = 20, RIGHT = 14;
const rows = faultRows();
const clientNames = [...clients.keys()].sort((a, b) => (a === "check") - (b === "check") || a.localeCompare(b, "en", { numeric: true }));
const top = AXIS + (rows.length ? rows.length * ROW + 12 : 4);
const laneY = (seat) => top + seat * LANE + LANE / 2;
const clientY = (place) => top + nodes.length * LANE + 16 + place * CLIENT + CLIENT / 2;
const total = () => clientY(clientNames.length) - CLIENT / 2 + 24;
const x = (time) => gutter + (time - view.from) / (view.to - view.from) * (width - gutter - RIGHT);
const timeAt = (place) => view.from + (place - gutter) / (width - gutter - RIGHT) * (view.to - view.from);

/// When each node was struck by anything, in spans that do not overlap.
function struck(seat) {
  const spans = [];
  for (const fault of faults) {
    if (!fault.seats.includes("n" + seat)) continue;
    const last = spans[spans.length - 1];
    if (last && fault.from <= last.to) last.to = Math.max(last.to, fault.to);
    else spans.push({ from: fault.from, to: fault.to });
  }
  return spans;
}

/// Faults side by side: each in the first row that is free.
function faultRows() {
  const rows = [];
  for (const fault of faults) {
    // Room for its words, which stand beside a short one.
    const needs = Math.max(fault.to, fault.from + end / 4);
    let row = rows.findIndex((busy) => busy <= fault.from);
    if (row < 0) row = rows.length;
    fault.row = Math.min(row, ROWS - 1);
    // The last row takes all that find no other; their words are shown by the pointer.
    fault.isCrowded = row >= ROWS - 1;
    if (row < ROWS) rows[row] = needs;
  }
  return rows;
}

const roleColour = (role) => ({ leader: theme.leader, follower: theme.follower, candidate: theme.candidate, "asks for votes": theme.asks, outside: theme.outside })[role] || theme.other;
/// Dark or light words, whichever can be read on `colour`.
function inkOn(colour) {
  const part = (place) => parseInt(colour.slice(place, place + 2), 16) / 255;
  return 0.3 * part(1) + 0.59 * part(3) + 0.11 * part(5) > 0.52 ? "#12151a" : "#ffffff";
}

function readTheme() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ["paper", "card", "ink", "soft", "line", "leader", "follower", "candidate", "asks", "outside", "other", "fault", "broken", "ok", "unknown", "failed", "disk", "wash"]) {
    theme[name] = style.getPropertyValue("--" + name).trim();
  }
}

function size() {
  width = $("stage").clientWidth;
  gutter = width < 600 ? 40 : 64;
  height = Math.ceil(total());
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  canvas.style.height = height + "px";
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
}

const FONT = '12px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif';
const SMALL = '11px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif';
const BOLD = '600 12px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif';

function text(words, left, middle, colour, font, align) {
  pen.font = font || FONT;
  pen.fillStyle = colour;
  pen.textAlign = align || "left";
  pen.textBaseline = "middle";
  pen.fillText(words, left, middle + 0.5);
}
function box(left, y, right, h, radius) {
  pen.beginPath();
  pen.roundRect(left, y, Math.max(right - left, 1), h, radius);
}
/// Text inside a bar, if it fits, from where the bar is seen.
function inside(choices, from, to, middle, colour, font) {
  const left = Math.max(from, gutter) + 6, room = Math.min(to, width - RIGHT) - left - 4;
  pen.font = font || FONT;
  const words = choices.find((words) => pen.measureText(words).width <= room);
  if (words) text(words, left, middle, colour, font);
}
const isSeen = (from, to) => to >= view.from && from <= view.to;
const clip = (place) => Math.min(Math.max(place, gutter - 4), width + 4);

function draw() {
  hits = [];
  pen.clearRect(0, 0, width, height);
  drawLanes();
  drawFaults();
  drawNodes();
  const shown = drawMessages();
  drawClients();
  drawAxis();
  drawMoments();
  $("messages").parentElement.title = shown ? "" : "Zoom in to see messages";
}

function drawAxis() {
  pen.fillStyle = theme.card;
  pen.fillRect(0, 0, width, AXIS);
  const length = view.to - view.from;
  const step = [1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 2e5, 5e5, 1e6, 2e6, 5e6, 1e7, 2e7, 5e7, 1e8, 2e8, 5e8, 1e9, 2e9, 5e9, 1e10, 2e10, 6e10].find((step) => length / step <= width / 110) || 6e11;
  for (let time = Math.ceil(view.from / step) * step; time <= view.to; time += step) {
    const place = x(time);
    pen.strokeStyle = theme.line;
    pen.lineWidth = 1;
    pen.beginPath();
    pen.moveTo(place, AXIS - 6);
    pen.lineTo(place, AXIS);
    pen.stroke();
    if (place < width - 20) text(clock(time, step), place, AXIS - 16, theme.soft, SMALL, place < gutter + 20 ? "left" : "center");
  }
  pen.strokeStyle = theme.line;
  pen.beginPath();
  pen.moveTo(gutter, AXIS);
  pen.lineTo(width - RIGHT, AXIS);
  pen.stroke();
}
function clock(time, step) {
  if (step >= 1e9) return (time / 1e9).toFixed(0) + " s";
  if (step >= 1e8) return (time / 1e9).toFixed(1) + " s";
  if (step >= 1e6) return (time / MS).toFixed(0) + " ms";
  return (time / MS).toFixed(step >= 1e5 ? 1 : step >= 1e4 ? 2 : 3) + " ms";
}

function drawLanes() {
  nodes.forEach((node, seat) => {
    const y = laneY(seat);
    if (seat % 2 === 0) { pen.fillStyle = theme.wash; pen.globalAlpha = 0.55; pen.fillRect(0, y - LANE / 2, width, LANE); pen.globalAlpha = 1; }
    text(node.name, gutter - 12, y, theme.ink, BOLD, "right");
  });
  clientNames.forEach((name, place) => text(name, gutter - 12, clientY(place), theme.soft, SMALL, "right"));
}

function drawFaults() {
  pen.fillStyle = theme.fault;
  pen.globalAlpha = 0.11;
  nodes.forEach((node, seat) => {
    for (const span of struck(seat)) {
      if (!isSeen(span.from, span.to)) continue;
      const left = clip(x(span.from));
      pen.fillRect(left, laneY(seat) - LANE / 2, Math.max(clip(x(span.to)) - left, 3), LANE);
    }
  });
  pen.globalAlpha = 1;
  for (const fault of faults) {
    if (!isSeen(fault.from, Math.max(fault.to, fault.from))) continue;
    const y = AXIS + 6 + fault.row * ROW, left = clip(x(fault.from)), right = Math.max(clip(x(fault.to)), left + 5);
    pen.strokeStyle = theme.fault;
    pen.globalAlpha = 0.35;
    pen.setLineDash([2, 3]);
    pen.beginPath();
    pen.moveTo(left + 0.5, y + ROW - 5);
    pen.lineTo(left + 0.5, Math.max(top, ...fault.seats.map((seat) => laneY(seatOf(seat)) - BAR / 2)));
    pen.stroke();
    pen.setLineDash([]);
    pen.globalAlpha = 1;
    box(left, y, right, ROW - 5, 4);
    pen.fillStyle = theme.fault;
    pen.fill();
    const label = (fault.kind + " " + fault.text).trim(), short = (fault.kind + " " + fault.name).trim();
    pen.font = SMALL;
    const fits = [label, short].find((words) => pen.measureText(words).width < right - left - 10);
    if (fault.isCrowded) pen.fillStyle = theme.fault;
    else if (fits) text(fits, left + 6, y + (ROW - 5) / 2, inkOn(theme.fault), SMALL);
    else {
      const free = pen.measureText(label).width + right + 8 < width ? label : short;
      if (pen.measureText(free).width + right + 8 < width) text(free, right + 5, y + (ROW - 5) / 2, theme.fault, SMALL);
      else text(free, left - 5, y + (ROW - 5) / 2, theme.fault, SMALL, "right");
    }
    hits.push({ left, right, top: y, bottom: y + ROW, text: (fault.kind ? "Fault " + fault.index + ", " : "") + fault.name + ": " + fault.text });
  }
}

function hatch(left, y, right, h, colour) {
  pen.save();
  box(left, y, right, h, 3);
  pen.clip();
  pen.strokeStyle = colour;
  pen.lineWidth = 2;
  for (let place = left - h; place < right; place += 7) {
    pen.beginPath();
    pen.moveTo(place, y + h);
    pen.lineTo(place + h, y);
    pen.stroke();
  }
  pen.restore();
}

function drawNodes() {
  nodes.forEach((node, seat) => {
    const y = laneY(seat), high = y - BAR / 2;
    drawDown(node, y);
    for (const role of node.roles) {
      const to = Math.min(role.to, end);
      if (!isSeen(role.from, to)) continue;
      const left = clip(x(role.from)), right = clip(x(to));
      box(left, high, right, BAR, 3);
      pen.fillStyle = roleColour(role.role);
      pen.fill();
      const term = role.term === null ? "" : " term " + role.term, mark = role.leads ? "★ " : "";
      inside([mark + role.role + "," + term, mark + role.role + " t" + role.term, (mark || "") + "t" + role.term], left, right, y, inkOn(roleColour(role.role)), role.leads ? BOLD : SMALL);
      hits.push({ left, right, top: high, bottom: high + BAR, text: node.name + ": " + role.role + term });
    }
    for (const pause of node.pauses) {
      const to = Math.min(pause.to, end);
      if (!isSeen(pause.from, to)) continue;
      const left = clip(x(pause.from)), right = clip(x(to));
      hatch(left, high, right, BAR, theme.card);
      inside(["stands still"], left, right, high + BAR + 8, theme.fault, SMALL);
      hits.push({ left, right, top: high, bottom: high + BAR + 14, text: node.name + " stands still" });
    }
    if ($("disks").checked) drawDisk(node, high + BAR + 3);
    for (const mark of node.marks) {
      if (isSeen(mark.at, mark.at)) drawMark(node, mark, y);
    }
  });
}

function drawDown(node, y) {
  let from = 0;
  const gaps = node.lives.map((life) => { const gap = { from, to: life.from }; from = life.to; return gap; });
  if (from < end) gaps.push({ from, to: end });
  for (const gap of gaps) {
    if (gap.to <= gap.from || !isSeen(gap.from, gap.to)) continue;
    const left = clip(x(gap.from)), right = clip(x(gap.to));
    pen.strokeStyle = theme.soft;
    pen.globalAlpha = 0.6;
    pen.setLineDash([3, 4]);
    pen.beginPath();
    pen.moveTo(left, y);
    pen.lineTo(right, y);
    pen.stroke();
    pen.setLineDash([]);
    pen.globalAlpha = 1;
    inside(["down"], left, right, y - 9, theme.soft, SMALL);
  }
}

function drawMark(node, mark, y) {
  const place = x(mark.at);
  if (mark.kind === "crash") {
    pen.strokeStyle = theme.broken;
    pen.lineWidth = 2.4;
    pen.beginPath();
    for (const turn of [1, -1]) { pen.moveTo(place - 5, y - 5 * turn); pen.lineTo(place + 5, y + 5 * turn); }
    pen.stroke();
  } else {
    pen.fillStyle = theme.ok;
    pen.beginPath();
    pen.moveTo(place, y - 6);
    pen.lineTo(place + 8, y);
    pen.lineTo(place, y + 6);
    pen.fill();
  }
  pen.lineWidth = 1;
  hits.push({ left: place - 7, right: place + 8, top: y - 8, bottom: y + 8, text: node.name + " " + mark.text });
}

function drawDisk(node, y) {
  const seen = node.disk.filter((work) => isSeen(work.at, work.at));
  if (seen.length > width / 3) return;
  for (const work of seen) {
    const place = x(work.at), failed = work.did === "failed";
    pen.strokeStyle = failed ? theme.broken : theme.disk;
    pen.lineWidth = failed ? 2.4 : 1.4;
    pen.globalAlpha = work.did === "synced" || failed ? 1 : 0.45;
    pen.beginPath();
    pen.moveTo(place, y);
    pen.lineTo(place, y + (work.did === "synced" || failed ? 8 : 5));
    pen.stroke();
    pen.globalAlpha = 1;
    pen.lineWidth = 1;
    const says = { written: "wrote, not yet durable", synced: "synced: what was written is durable", told: "hears that it is durable", failed: "fails" }[work.did];
    hits.push({ left: place - 3, right: place + 3, top: y, bottom: y + 9, text: "disk of " + node.name + " " + says });
  }
}

function drawMessages() {
  if (!$("messages").checked) return true;
  const withRoutine = $("routine").checked, seen = [];
  for (const message of messages.values()) {
    if (message.routine && !withRoutine) continue;
    const last = Math.max(message.sent, ...message.hits, ...message.misses);
    if (isSeen(message.sent, last)) seen.push(message);
  }
  const most = Math.max(220, width * 0.8);
  if (seen.length > most) {
    text("zoom in to see " + seen.length + " messages", width - RIGHT, AXIS + 9, theme.soft, SMALL, "right");
    return false;
  }
  const taken = [];
  pen.save();
  pen.beginPath();
  pen.rect(gutter, AXIS, width, height);
  pen.clip();
  for (const message of seen) drawMessage(message, seen.length, taken);
  pen.restore();
  return true;
}

function drawMessage(message, count, taken) {
  const from = seatOf(message.from), to = seatOf(message.to);
  if (from === to) return;
  const down = to > from ? 1 : -1, y0 = laneY(from) + down * (BAR / 2 + 1), y1 = laneY(to) - down * (BAR / 2 + 1), x0 = x(message.sent);
  pen.strokeStyle = pen.fillStyle = theme.ink;
  const strength = message.routine ? 0.22 : count > 120 ? 0.4 : 0.75;
  const tip = message.from + " → " + message.to + ", " + message.way + ": " + message.label;
  for (const at of message.hits) arrow(x0, y0, x(at), y1, strength, [], tip + ", after " + ((at - message.sent) / MS).toFixed(2) + " ms");
  for (const at of message.misses) cross(x0, y0, x(at), y1, strength, tip + ", finds nobody, or a cut");
  if (!message.hits.length && !message.misses.length) {
    const held = message.fate === "held", lost = message.fate === "lost", late = message.fate.travels ? x(message.fate.travels.at) : x0 + 14;
    if (lost || held) cross(x0, y0, x0 + 18, y0 + (y1 - y0) * 0.35, strength, tip + (held ? ", held back" : ", lost"));
    else arrow(x0, y0, late, y1, strength * 0.6, [3, 4], tip + ", still on its way");
  }
  if (count <= 60 && !message.routine && view.to - view.from < 400 * MS) label(message, x0, y0, down, taken);
}
function arrow(x0, y0, x1, y1, strength, dash, tip) {
  pen.globalAlpha = strength;
  pen.setLineDash(dash);
  pen.beginPath();
  pen.moveTo(x0, y0);
  pen.lineTo(x1, y1);
  pen.stroke();
  pen.setLineDash([]);
  const turn = Math.atan2(y1 - y0, x1 - x0);
  pen.beginPath();
  pen.moveTo(x1, y1);
  for (const side of [0.42, -0.42]) pen.lineTo(x1 - 7 * Math.cos(turn + side), y1 - 7 * Math.sin(turn + side));
  pen.fill();
  pen.globalAlpha = 1;
  hits.push({ line: [x0, y0, x1, y1], text: tip });
}
function cross(x0, y0, x1, y1, strength, tip) {
  pen.globalAlpha = strength;
  pen.setLineDash([3, 3]);
  pen.strokeStyle = theme.broken;
  pen.beginPath();
  pen.moveTo(x0, y0);
  pen.lineTo(x1, y1);
  pen.stroke();
  pen.setLineDash([]);
  pen.beginPath();
  for (const side of [1, -1]) { pen.moveTo(x1 - 3, y1 - 3 * side); pen.lineTo(x1 + 3, y1 + 3 * side); }
  pen.stroke();
  pen.strokeStyle = theme.ink;
  pen.globalAlpha = 1;
  hits.push({ line: [x0, y0, x1, y1], text: tip });
}
/// The words of a message where it leaves, if nothing else stands there.
function label(message, x0, y0, down, taken) {
  pen.font = SMALL;
  const place = { left: x0 + 6, right: x0 + 10 + pen.measureText(message.label).width, top: y0 + down * 11 - 7, bottom: y0 + down * 11 + 7 };
  if (place.left < gutter || place.right > width || taken.some((other) => place.left < other.right && place.right > other.left && place.top < other.bottom && place.bottom > other.top)) return;
  taken.push(place);
  pen.globalAlpha = 0.8;
  pen.fillStyle = theme.card;
  pen.fillRect(place.left - 1, place.top + 1, place.right - place.left, 13);
  pen.globalAlpha = 1;
  text(message.label, place.left, y0 + down * 11, theme.ink, SMALL);
}

function drawClients() {
  clientNames.forEach((name, place) => {
    const y = clientY(place);
    for (const operation of clients.get(name)) {
      const to = Math.min(operation.to, end);
      if (!isSeen(operation.from, to)) continue;
      const left = clip(x(operation.from)), right = Math.max(clip(x(to)), left + 4);
      const colour = operation.illegal ? theme.broken : { ok: theme.ok, failed: theme.failed, unknown: theme.unknown, open: theme.unknown }[operation.outcome];
      box(left, y - 8, right, 16, 4);
      pen.globalAlpha = operation.outcome === "ok" ? 0.9 : 0.75;
      pen.fillStyle = colour;
      pen.fill();
      pen.globalAlpha = 1;
      if (operation.outcome === "unknown" || operation.outcome === "open") hatch(left, y - 8, right, 16, theme.card);
      const says = operation.label + (operation.outcome === "open" ? "" : ": " + operation.answer);
      pen.font = SMALL;
      const room = right - left - 12, plain = operation.outcome === "ok" || operation.outcome === "failed";
      const fits = plain && [says, operation.label].find((words) => pen.measureText(words).width < room);
      if (fits) text(fits, left + 6, y, inkOn(colour), SMALL);
      else {
        const next = clients.get(name).find((other) => other.from > operation.from);
        const free = (next ? Math.min(x(next.from), width) : width) - right - 8;
        const words = [says, operation.label].find((words) => pen.measureText(words).width < free);
        if (words) text(words, right + 6, y, operation.illegal ? theme.broken : theme.soft, SMALL);
      }
      if (operation.effect && isSeen(operation.effect.at, operation.effect.at)) diamond(x(operation.effect.at), y, operation.effect.order);
      hits.push({ left, right, top: y - 9, bottom: y + 9, text: name + ": " + says + (operation.effect ? ". Took effect as number " + operation.effect.order + " on " + operation.effect.object : "") + (operation.illegal ? ". No order allows this answer" : "") });
    }
  });
}
function diamond(place, y, order) {
  pen.beginPath();
  pen.moveTo(place, y - 6);
  pen.lineTo(place + 6, y);
  pen.lineTo(place, y + 6);
  pen.lineTo(place - 6, y);
  pen.closePath();
  pen.fillStyle = theme.card;
  pen.fill();
  pen.strokeStyle = theme.ink;
  pen.lineWidth = 1.4;
  pen.stroke();
  pen.lineWidth = 1;
  if (order < 100) text(String(order), place, y - 13, theme.soft, SMALL, "center");
}

function drawMoments() {
  if (calm && isSeen(calm.at, calm.at)) {
    line(calm.at, theme.ok, [5, 4], 1);
    const right = x(calm.at) < width / 2;
    text("calm: progress is demanded", x(calm.at) + (right ? 5 : -5), height - 11, theme.ok, SMALL, right ? "left" : "right");
  }
  if (broken && isSeen(broken.at, broken.at)) {
    line(broken.at, theme.broken, [], 2);
    flag(x(broken.at), broken.invariant + " broken", theme.broken, height - 12);
    if (broken.seat) ring(x(broken.at), laneY(seatOf(broken.seat)));
  }
  if (!broken || cursor !== broken.at) line(cursor, theme.ink, [], 1);
  if (isSeen(cursor, cursor)) flag(x(cursor), (cursor / MS).toFixed(cursor < 1e10 ? 2 : 0) + " ms", theme.ink, 11);
  pen.fillStyle = theme.card;
  pen.globalAlpha = 1;
}
function line(time, colour, dash, thick) {
  if (!isSeen(time, time)) return;
  pen.strokeStyle = colour;
  pen.lineWidth = thick;
  pen.setLineDash(dash);
  pen.beginPath();
  pen.moveTo(x(time), AXIS - 4);
  pen.lineTo(x(time), height);
  pen.stroke();
  pen.setLineDash([]);
  pen.lineWidth = 1;
}
function ring(place, y) {
  pen.strokeStyle = theme.broken;
  pen.lineWidth = 3;
  pen.beginPath();
  pen.arc(place, y, 15, 0, 7);
  pen.stroke();
  pen.lineWidth = 1;
}
function flag(place, words, colour, middle) {
  pen.font = SMALL;
  const wide = pen.measureText(words).width + 12, left = Math.min(Math.max(place - wide / 2, 2), width - wide - 2);
  box(left, middle - 9, left + wide, 18, 4);
  pen.fillStyle = colour;
  pen.fill();
  text(words, left + 6, middle, inkOn(colour), SMALL);
}
