//! Which inputs a place has.

/// The inputs that templates may use in one place of the file.
#[derive(Clone, Copy, Debug)]
pub struct Scope {
    /// The place in words, for errors: `a Kafka ingress`.
    pub place: &'static str,
    /// Whether the event's attributes are there. At ingress they are what the templates make.
    pub attributes: bool,
    /// Whether the body is there (`data`), and with it `uuid`.
    pub data: bool,
    /// The transport's inputs. One of these hides an attribute of the same name.
    pub roots: &'static [Root],
}

/// One input of a transport.
#[derive(Clone, Copy, Debug)]
pub struct Root {
    /// How it is written.
    pub name: &'static str,
    /// What may or must follow the name.
    pub step: StepRule,
}

/// What follows an input's name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StepRule {
    /// Nothing: `offset`.
    None,
    /// A number, or nothing: `topic`, `topic[1]`.
    MayIndex,
    /// A name: `headers.X`.
    MustName,
}

const fn root(name: &'static str, step: StepRule) -> Root {
    Root { name, step }
}

impl Scope {
    /// At every egress: the event's attributes, and its key.
    pub const EGRESS: Scope = Scope {
        place: "a destination",
        attributes: true,
        data: false,
        roots: &[root("key", StepRule::None)],
    };

    /// Kafka records.
    pub const KAFKA_INGRESS: Scope = Scope {
        place: "a Kafka ingress",
        attributes: false,
        data: true,
        roots: &[
            root("topic", StepRule::None),
            root("partition", StepRule::None),
            root("offset", StepRule::None),
            root("key", StepRule::None),
            root("headers", StepRule::MustName),
        ],
    };

    /// MQTT messages; the topic's levels count from 0, `user` are the user properties of MQTT 5.
    pub const MQTT_INGRESS: Scope = Scope {
        place: "an MQTT ingress",
        attributes: false,
        data: true,
        roots: &[
            root("topic", StepRule::MayIndex),
            root("user", StepRule::MustName),
        ],
    };

    /// AMQP messages; `properties` are the application properties, `annotations` the message annotations, the others
    /// the fields of those names in the message's own header and properties; `address` is where the link takes from.
    pub const AMQP_INGRESS: Scope = Scope {
        place: "an AMQP ingress",
        attributes: false,
        data: true,
        roots: &[
            root("address", StepRule::None),
            root("subject", StepRule::None),
            root("message_id", StepRule::None),
            root("correlation_id", StepRule::None),
            root("reply_to", StepRule::None),
            root("to", StepRule::None),
            root("user_id", StepRule::None),
            root("group_id", StepRule::None),
            root("priority", StepRule::None),
            root("properties", StepRule::MustName),
            root("annotations", StepRule::MustName),
        ],
    };

    /// HTTP requests; the path's segments count from 0.
    pub const HTTP_INGRESS: Scope = Scope {
        place: "an HTTP ingress",
        attributes: false,
        data: true,
        roots: &[
            root("path", StepRule::MayIndex),
            root("query", StepRule::MustName),
            root("headers", StepRule::MustName),
        ],
    };

    /// Everything that there is here, for errors.
    pub(super) fn listed(&self) -> String {
        let mut all: Vec<String> = Vec::new();
        if self.attributes {
            all.push("any attribute such as subject".to_owned());
        }
        for root in self.roots {
            match root.step {
                StepRule::None => all.push(root.name.to_owned()),
                StepRule::MayIndex => all.push(format!("{0}, {0}[0]", root.name)),
                StepRule::MustName => all.push(format!("{}.NAME", root.name)),
            }
        }
        if self.data {
            all.push("data, data.PATH, uuid".to_owned());
        }
        all.join(", ")
    }
}
