// Receives from an AMQP 1.0 address with rhea, prints `{"attached": ADDRESS}`, then each message, and accepts it. The SDK has no binding
// for AMQP: the attributes are read here from either prefix. With them come `section` (data or value), `properties` (message_id,
// content_type, subject, group_id as they are), `application` and `annotations`. Ends after --count messages (0: never).
//   --port --address [--count] [--seconds] [--user] [--password]
"use strict";

const rhea = require("rhea");
const { fail, limit, options, say, show } = require("./common.js");

const PREFIXES = ["cloudEvents:", "cloudEvents_"];
const args = options({ address: "", user: "", password: "" });
const how = { host: "127.0.0.1", port: args.port, reconnect: false };
if (args.user) {
  Object.assign(how, { username: args.user, password: args.password });
}
const container = rhea.create_container();
const connection = container.connect(how);
const receiver = connection.open_receiver({ source: args.address, credit_window: 0, autoaccept: true });
let taken = 0;
if (args.count > 0) {
  limit(args, () => `${taken} of ${args.count} messages of ${args.address}`);
}

container.on("receiver_open", () => {
  say({ attached: args.address });
  receiver.add_credit(args.count > 0 ? args.count : 1000);
});

container.on("message", ({ message }) => {
  const section = message.body?.typecode === 0x75 ? "data" : "value";
  const body = section === "data" ? message.body.content : message.body;
  const raw = typeof body === "string" || Buffer.isBuffer(body) ? Buffer.from(body) : Buffer.alloc(0);
  const application = message.application_properties ?? {};
  const { message_id, content_type, subject, group_id } = message;
  show(attributes(application, content_type, raw), raw, {
    section,
    properties: { message_id, content_type, subject, group_id },
    application: Object.entries(application),
    annotations: Object.entries(message.message_annotations ?? {}),
  });
  taken += 1;
  if (args.count === 0) {
    receiver.add_credit(1);
  } else if (taken === args.count) {
    connection.close();
  }
});

function attributes(application, contentType, raw) {
  if ((contentType ?? "").startsWith("application/cloudevents")) {
    return JSON.parse(raw.toString());
  }
  const found = {};
  for (const [name, value] of Object.entries(application)) {
    const prefix = PREFIXES.find((prefix) => name.startsWith(prefix));
    if (prefix) {
      found[name.slice(prefix.length)] = value;
    }
  }
  if (!("specversion" in found)) {
    return undefined;
  }
  return contentType ? { ...found, datacontenttype: contentType } : found;
}

for (const error of ["connection_error", "session_error", "receiver_error", "disconnected"]) {
  container.on(error, (context) => {
    if (args.count === 0 || taken < args.count) {
      fail(`${error}: ${context.connection.error ?? context.error ?? receiver.error}`);
    }
  });
}
