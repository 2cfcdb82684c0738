// What the scripts share: events of every kind, made as tests/rig/python/common.py makes them, and the same way to print one:
// one JSON object on one line with
//   attributes   every attribute but the data, as strings
//   raw          the bytes of the message's body, in base64
// Where it is no CloudEvent there are no attributes.
"use strict";

const { parseArgs } = require("node:util");
const { CloudEvent } = require("cloudevents");

const BINARY = Buffer.from([0, 159, 146, 150, 255, 10, 13]);
const KINDS = {
  json: (index) => ["application/json", Buffer.from(JSON.stringify({ n: index, deep: { list: [1, 2.5, null, true], text: "ünï" } }))],
  text: (index) => ["text/plain; charset=utf-8", Buffer.from(`line ${index}\nünï ✓`)],
  binary: () => ["application/octet-stream", BINARY],
  none: () => [undefined, undefined],
};

// The options of every script, with `more`; an option is a text.
function options(more) {
  const names = { port: "", count: "1", start: "0", mode: "binary", data: "all", seconds: "60", ...more };
  const described = Object.fromEntries(Object.entries(names).map(([name, value]) => [name, { type: "string", default: value }]));
  const { values } = parseArgs({ options: described });
  return { ...values, port: Number(values.port), count: Number(values.count), start: Number(values.start) };
}

// The attributes of one event, its data in bytes, and the event of the SDK.
function event(index, data) {
  const kinds = Object.keys(KINDS);
  const kind = data === "all" ? kinds[index % kinds.length] : data;
  const [contentType, body] = KINDS[kind](index);
  const attributes = {
    id: `rig-${index}`,
    source: "/weft/rig?of=node",
    type: "com.example.rig.made",
    specversion: "1.0",
    subject: `größe ✓ 100% "${index}"`,
    time: new Date(Date.UTC(2026, 0, 2, 3, 4, 5 + index, 678)).toISOString(),
    dataschema: "https://schemas.example.com/rig.json#v1",
    astring: "a, b; c=d",
    anint: index - 2,
    abool: index % 2 === 0,
    atime: "2026-01-02T03:04:05+02:00",
    abytes: BINARY.toString("base64"),
    partitionkey: `key-${index % 3}`,
  };
  if (contentType !== undefined) {
    attributes.datacontenttype = contentType;
  }
  return { attributes, body, made: new CloudEvent({ ...attributes, data: body }) };
}

function show(attributes, raw, more) {
  const line = { raw: Buffer.from(raw ?? "").toString("base64"), ...more };
  if (attributes) {
    const { data, data_base64, ...named } = attributes;
    const set = Object.entries(named).filter(([, value]) => value !== undefined && value !== null);
    line.attributes = Object.fromEntries(set.map(([name, value]) => [name, text(value)]));
  }
  say(line);
}

function text(value) {
  return value instanceof Date ? value.toISOString() : Buffer.isBuffer(value) ? value.toString("base64") : String(value);
}

function say(line) {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

function fail(why) {
  process.stderr.write(`${why}\n`);
  process.exit(1);
}

// Fails after the time of `options`; unref'd, so that a script that is done ends.
function limit(options, what) {
  setTimeout(() => fail(`${what()} within ${options.seconds} s`), Number(options.seconds) * 1000).unref();
}

module.exports = { event, fail, limit, options, say, show };
