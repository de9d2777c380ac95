"use strict";
// Reads the records of a run and draws them. No library, nothing from elsewhere.
const data = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const MS = 1e6;
const seatOf = (name) => Number(name.slice(1));

const nodes = Array.from({ length: data.nodes }, (_, seat) => ({
  name: "n" + seat, lives: [], pauses: [], roles: [], seen: [], disk: [], marks: [],
}));
const messages = new Map();
const faults = [];
const operations = new Map();
const clients = new Map();
const story = [];
let end = 1, calm = null, broken = null;

const words = (observed) => {
  const term = observed.term === null ? "" : " term " + observed.term;
  const state = Object.fromEntries(observed.state);
  if (observed.leads) return "leads" + term;
  if (observed.role === "follower") {
    const follows = state.follows;
    return follows && follows !== "nobody" ? "follows " + follows + " in" + term : "follows nobody yet," + term;
  }
  if (/ /.test(observed.role)) return observed.role + "," + term;
  return (observed.role === "outside" ? "is outside the cluster," : "is a " + observed.role + " in") + term;
};
const span = (nanos) => nanos === null ? "for ever" : "for " + Math.round(nanos / MS) + " ms";
const tell = (event, text, kind) => story.push({ at: event.at, text, kind: kind || "" });

for (const event of data.trace) {
  end = Math.max(end, event.at);
  const node = event.seat === undefined || event.seat === null ? null : nodes[seatOf(event.seat)];
  switch (event.event) {
    case "started":
      node.lives.push({ from: event.at, to: Infinity, life: event.life });
      if (event.life > 1) node.marks.push({ at: event.at, kind: "start", text: "starts again, life " + event.life });
      tell(event, event.seat + (event.life > 1 ? " starts again (life " + event.life + ")" : " starts"), "small");
      break;
    case "cannot-start":
      node.marks.push({ at: event.at, kind: "crash", text: "cannot start: " + event.reason });
      tell(event, event.seat + " cannot start yet: " + event.reason, "fault");
      break;
    case "crashed": {
      const life = node.lives[node.lives.length - 1];
      if (life) life.to = event.at;
      close(node.roles, event.at);
      close(node.pauses, event.at);
      node.seen.push({ at: event.at, now: null });
      const loss = { nothing: "its disk keeps everything", all: "its disk loses what was not synced",
        some: "its disk loses some of what was not synced", torn: "its disk keeps a torn write" }[event.disk];
      node.marks.push({ at: event.at, kind: "crash", text: "crashes; " + loss });
      tell(event, event.seat + " crashes, down " + span(event.down) + "; " + loss, "fault");
      break;
    }
    case "halted": tell(event, event.seat + " ends itself: " + event.reason, "fault"); break;
    case "paused":
      node.pauses.push({ from: event.at, to: event.until === null ? Infinity : event.until });
      tell(event, event.seat + " stands still", "fault");
      break;
    case "resumed": close(node.pauses, event.at); tell(event, event.seat + " goes on", "small"); break;
    case "sent":
      messages.set(event.number, { ...event, sent: event.at, hits: [], misses: [] });
      break;
    case "arrived": case "missed": {
      const message = messages.get(event.number);
      if (message) message[event.event === "arrived" ? "hits" : "misses"].push(event.at);
      break;
    }
    case "fault-began":
      faults.push({ ...event, from: event.at, to: event.until === null ? event.at : event.until });
      tell(event, "fault " + event.index + ": " + event.text, "fault");
      break;
    case "fault-ended": {
      const fault = faults.find((known) => known.index === event.index);
      if (fault) { fault.to = Math.min(fault.to, event.at); tell(event, "fault " + event.index + " (" + fault.name + ") is over", "small"); }
      break;
    }
    case "disk": node.disk.push(event); break;
    case "began": {
      const operation = { ...event, from: event.at, to: Infinity, outcome: "open", answer: "never answered" };
      operations.set(event.operation, operation);
      if (!clients.has(event.client)) clients.set(event.client, []);
      clients.get(event.client).push(operation);
      tell(event, event.client + " asks: " + event.label, "ok");
      break;
    }
    case "ended": {
      const operation = operations.get(event.operation);
      if (operation) {
        Object.assign(operation, { to: event.at, outcome: event.outcome, answer: event.label });
        tell(event, operation.client + " " + (event.outcome === "ok" ? "is told" : "learns") + ": " + event.label + " (" + operation.label + ")", event.outcome === "ok" ? "ok" : "small");
      }
      break;
    }
    case "took-effect": {
      const operation = operations.get(event.operation);
      if (operation) operation.effect = event;
      break;
    }
    case "no-order": {
      const operation = operations.get(event.operation);
      if (operation) { operation.illegal = true; tell(event, "no order of what was done to " + event.object + " allows this answer: " + operation.label + ", " + operation.answer, "broken"); }
      break;
    }
    case "observed": {
      const last = node.roles[node.roles.length - 1];
      const isNew = !last || last.to !== Infinity || last.role !== event.role || last.term !== event.term;
      if (isNew) {
        close(node.roles, event.at);
        node.roles.push({ from: event.at, to: Infinity, role: event.role, leads: event.leads, term: event.term });
      }
      const text = words(event);
      if (isNew || node.said !== text) tell(event, event.seat + " " + text, event.leads ? "role" : "");
      node.said = text;
      node.seen.push({ at: event.at, now: event });
      break;
    }
    case "calm":
      calm = event;
      tell(event, "calm begins: faults end inside " + event.core.join(", "), "role");
      break;
    case "left-out":
      faults.push({ kind: "", name: "left out of the core", index: "-", text: event.text, seats: [event.seat], from: event.at, to: Infinity });
      tell(event, event.text, "fault");
      break;
    case "violated":
      broken = event;
      tell(event, "BROKEN " + event.invariant + ": " + event.message.split("\n")[0], "broken");
      break;
    case "note": tell(event, event.text, "small"); break;
  }
}
function close(list, at) {
  const last = list[list.length - 1];
  if (last && last.to > at) last.to = at;
}
for (const message of messages.values()) {
  if (!message.routine) {
    const lost = message.fate === "lost" ? " (lost)" : message.fate === "held" ? " (held back)" : "";
    story.push({ at: message.sent, text: message.from + " → " + message.to + ": " + message.label + lost, kind: "small", message: true });
  }
}
// As found: sorting keeps the order of what happened at one moment.
story.sort((a, b) => a.at - b.at);
end = Math.max(end, broken ? broken.at : 0);
