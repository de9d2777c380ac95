// Tells in words what the cursor is at, and moves it.

const listed = () => story.filter((entry) => !entry.message || $("messages").checked);
let entries = [];

function fillStory() {
  const all = listed(), most = 6000;
  // The end of a long story counts, and above all the moment that it broke.
  entries = all.slice(-most);
  const before = all.length - entries.length;
  $("more").textContent = before ? "from " + (entries[0].at / MS).toFixed(2) + " ms on; " + before + " lines before are in trace.ndjson" : "";
  $("story").replaceChildren(...entries.map((entry) => {
    const item = document.createElement("li"), time = document.createElement("time"), words = document.createElement("span");
    time.textContent = (entry.at / MS).toFixed(2) + " ms";
    words.textContent = entry.text;
    words.className = entry.kind;
    item.append(time, words);
    item.addEventListener("click", () => moveTo(entry.at));
    return item;
  }));
}

/// The last entry at or before the cursor.
function entryAt() {
  let low = 0, high = entries.length;
  while (low < high) { const middle = (low + high) >> 1; if (entries[middle].at <= cursor) low = middle + 1; else high = middle; }
  return low - 1;
}

function showState() {
  $("when").textContent = (cursor / MS).toFixed(3) + " ms";
  const place = entryAt(), list = $("story");
  const before = list.querySelector(".at");
  if (before) before.classList.remove("at");
  const item = list.children[place];
  if (item) { item.classList.add("at"); list.scrollTop = item.offsetTop - list.offsetTop - list.clientHeight * 0.6; }
  $("now").textContent = place >= 0 ? entries[place].text : $("more").textContent ? "" : "Nothing has happened yet.";
  const columns = [];
  const states = nodes.map((node) => {
    const seen = node.seen.filter((seen) => seen.at <= cursor), last = seen[seen.length - 1], now = last && last.now;
    if (now) for (const [name] of now.state) if (!columns.includes(name)) columns.push(name);
    const paused = node.pauses.some((pause) => pause.from <= cursor && pause.to > cursor);
    return { node, now, paused, isFresh: last && cursor - last.at < 1, before: seen.length > 1 ? seen[seen.length - 2].now : null };
  });
  const cell = (tag, words, kind) => { const cell = document.createElement(tag); cell.textContent = words; if (kind) cell.className = kind; return cell; };
  const row = (cells) => { const row = document.createElement("tr"); row.append(...cells); return row; };
  $("state").replaceChildren(row(["node", "is", "term", ...columns].map((name) => cell("th", name))), ...states.map(({ node, now, paused, isFresh, before }) => {
    const is = cell("td", ""), chip = document.createElement("span");
    chip.className = "chip";
    chip.textContent = (now ? now.role : "down") + (paused ? ", stands still" : "");
    chip.style.background = now ? roleColour(now.role) : "transparent";
    chip.style.color = now ? (inkOn(roleColour(now.role))) : theme.soft;
    is.append(chip);
    const old = before ? Object.fromEntries(before.state) : {}, state = now ? Object.fromEntries(now.state) : {};
    const changed = (name) => isFresh && before && old[name] !== state[name] ? "fresh" : "";
    return row([cell("td", node.name, "node"), is, cell("td", now && now.term !== null ? String(now.term) : "", isFresh && before && now && before.term !== now.term ? "fresh" : ""), ...columns.map((name) => cell("td", state[name] || "", changed(name)))]);
  }));
}

function header() {
  document.querySelector("header").classList.toggle("whole", !broken);
  $("close").hidden = !broken;
  $("kicker").textContent = broken ? "Promise " + broken.invariant + " is broken" : "No promise is broken";
  $("promise").textContent = broken ? data.meaning || broken.invariant : "This run keeps every promise.";
  if (broken) {
    const what = document.createElement("b");
    what.textContent = "Here: ";
    $("message").append(what, broken.message);
  }
  const facts = [data.nodes + (data.nodes === 1 ? " node" : " nodes"), data.faults + (data.faults === 1 ? " fault" : " faults"), data.operations + (data.operations === 1 ? " operation" : " operations") + " of clients", (end / 1e9).toFixed(2) + " simulated seconds", "seed " + data.seed];
  $("facts").append(facts.join(" · ") + (data.replay ? " · again: " : ""));
  if (data.left_out) { const note = document.createElement("p"); note.className = "note"; note.textContent = "So that the page stays small, it leaves out " + data.left_out + ". trace.ndjson beside it has all."; $("facts").after(note); }
  if (data.replay) { const code = document.createElement("code"); code.textContent = data.replay; $("facts").append(code); }
  const roles = [...new Set(nodes.flatMap((node) => node.roles.map((role) => role.role)))];
  const key = (background, words) => { const item = document.createElement("span"), swatch = document.createElement("i"); swatch.style.background = background; item.append(swatch, words); return item; };
  const stripes = (name) => "repeating-linear-gradient(135deg, var(--" + name + ") 0 4px, transparent 4px 7px)";
  const named = { leader: "leader", follower: "follower", candidate: "candidate", "asks for votes": "asks", outside: "outside" };
  $("legend").append(...roles.map((role) => key("var(--" + (named[role] || "other") + ")", role)), key("var(--fault)", "fault"), key(stripes("follower"), "stands still"), key("linear-gradient(var(--broken), var(--broken)) center / 100% 2px no-repeat", "lost message"), key("var(--ok)", "answered"), key("var(--failed)", "had no effect"), key(stripes("unknown"), "nobody knows"), key("var(--broken)", "broken promise"), " ✕ crash   ▶ start   ◆ takes effect   ★ leads");
}

let waiting = false;
function refresh() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => { waiting = false; draw(); showState(); });
}
function show(from, to) {
  const length = Math.min(Math.max(to - from, 20e3), end * 1.06);
  view.from = Math.min(Math.max(from, 0), Math.max(end * 1.05 - length, 0));
  view.to = view.from + length;
  refresh();
}
function zoom(factor, around) {
  const middle = around === undefined ? (isSeen(cursor, cursor) ? cursor : (view.from + view.to) / 2) : around;
  show(middle - (middle - view.from) * factor, middle + (view.to - middle) * factor);
}
function moveTo(time) {
  cursor = Math.min(Math.max(time, 0), end);
  const length = view.to - view.from;
  if (cursor < view.from || cursor > view.to) show(cursor - length / 2, cursor + length / 2);
  refresh();
}
function step(forwards) {
  const place = entryAt();
  if (forwards) { const next = entries[place + 1]; if (next) moveTo(next.at); return; }
  let before = place;
  while (before >= 0 && entries[before].at >= cursor) before -= 1;
  moveTo(before >= 0 ? entries[before].at : 0);
}
/// All of it, or from where it begins to matter if little happens in much of it.
function toStory() {
  const from = begins(), margin = (end - from) * 0.08;
  if (from < end * 0.4) return show(0, end * 1.03);
  show(from - margin, Math.min(end + margin, end * 1.03));
}
function toBroken() {
  if (!broken) return show(0, end * 1.03);
  cursor = broken.at;
  const length = Math.min(Math.max(end / 10, 30 * MS), 120 * MS);
  show(broken.at - length * 0.85, broken.at + length * 0.15);
}

canvas.addEventListener("keydown", (event) => {
  const length = view.to - view.from, key = event.key;
  const acts = {
    ArrowLeft: () => event.shiftKey ? show(view.from - length / 5, view.to - length / 5) : step(false),
    ArrowRight: () => event.shiftKey ? show(view.from + length / 5, view.to + length / 5) : step(true),
    ArrowUp: () => zoom(0.6), ArrowDown: () => zoom(1 / 0.6), "+": () => zoom(0.6), "-": () => zoom(1 / 0.6),
    Home: () => moveTo(0), End: () => moveTo(end), v: toBroken, 0: () => show(0, end * 1.03),
    m: () => toggle("messages"), h: () => toggle("routine"), d: () => toggle("disks"),
  };
  if (acts[key] && !event.ctrlKey && !event.metaKey && !event.altKey) { event.preventDefault(); acts[key](); }
});
function toggle(id) { $(id).checked = !$(id).checked; if (id === "messages") fillStory(); refresh(); }
$("story").addEventListener("keydown", (event) => {
  if (event.key === "ArrowUp" || event.key === "ArrowDown") { event.preventDefault(); step(event.key === "ArrowDown"); }
});
$("in").addEventListener("click", () => zoom(0.6));
$("out").addEventListener("click", () => zoom(1 / 0.6));
$("fit").addEventListener("click", () => show(0, end * 1.03));
$("close").addEventListener("click", toBroken);
for (const id of ["messages", "routine", "disks"]) $(id).addEventListener("change", () => { if (id === "messages") fillStory(); refresh(); });

// One pointer drags or points; two zoom.
const pointers = new Map();
let dragged = false;
const placeOf = (event) => { const frame = canvas.getBoundingClientRect(); return { x: event.clientX - frame.left, y: event.clientY - frame.top }; };
canvas.addEventListener("pointerdown", (event) => { pointers.set(event.pointerId, placeOf(event)); canvas.setPointerCapture(event.pointerId); dragged = false; });
canvas.addEventListener("pointermove", (event) => {
  const place = placeOf(event), before = pointers.get(event.pointerId);
  if (!before) return hover(place);
  const scale = (view.to - view.from) / (width - gutter - RIGHT);
  if (pointers.size === 2) {
    const other = [...pointers].find(([id]) => id !== event.pointerId)[1];
    const factor = Math.max(Math.abs(before.x - other.x), 10) / Math.max(Math.abs(place.x - other.x), 10);
    dragged = true;
    pointers.set(event.pointerId, place);
    return zoom(factor, timeAt((place.x + other.x) / 2));
  }
  if (dragged || Math.abs(place.x - before.x) > 4) {
    dragged = true;
    show(view.from - (place.x - before.x) * scale, view.to - (place.x - before.x) * scale);
    pointers.set(event.pointerId, place);
  }
});
canvas.addEventListener("pointerup", (event) => {
  pointers.delete(event.pointerId);
  if (!dragged) { moveTo(timeAt(placeOf(event).x)); canvas.focus({ preventScroll: true }); }
});
canvas.addEventListener("pointercancel", (event) => pointers.delete(event.pointerId));
canvas.addEventListener("pointerleave", () => { $("tip").hidden = true; });
canvas.addEventListener("wheel", (event) => {
  if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
    event.preventDefault();
    const by = (event.deltaX || event.deltaY) / width * (view.to - view.from);
    show(view.from + by, view.to + by);
  } else if (event.ctrlKey || event.metaKey || document.activeElement === canvas) {
    event.preventDefault();
    zoom(event.deltaY > 0 ? 1.2 : 1 / 1.2, timeAt(placeOf(event).x));
  }
}, { passive: false });

function hover(place) {
  const near = (hit) => {
    if (!hit.line) return place.x >= hit.left - 2 && place.x <= hit.right + 2 && place.y >= hit.top && place.y <= hit.bottom;
    const [x0, y0, x1, y1] = hit.line, length = (x1 - x0) ** 2 + (y1 - y0) ** 2 || 1;
    const along = Math.min(Math.max(((place.x - x0) * (x1 - x0) + (place.y - y0) * (y1 - y0)) / length, 0), 1);
    return Math.hypot(place.x - x0 - along * (x1 - x0), place.y - y0 - along * (y1 - y0)) < 5;
  };
  const hit = hits.findLast(near), tip = $("tip");
  tip.hidden = !hit;
  if (!hit) return;
  tip.textContent = hit.text;
  tip.style.left = Math.min(place.x + 12, width - tip.offsetWidth - 8) + "px";
  tip.style.top = (place.y + 18 + tip.offsetHeight > height ? place.y - tip.offsetHeight - 10 : place.y + 18) + "px";
}

new ResizeObserver(() => { size(); refresh(); }).observe($("stage"));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { readTheme(); refresh(); });
readTheme();
header();
fillStory();
size();
toStory();
if (location.hash === "#broken") toBroken();
