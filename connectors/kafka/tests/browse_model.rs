//! Looking and taking beside a plain set: transactions, retention and drops in an order that a seed chooses.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::json;
use support::{LIMIT, egress_settings, node};
use weft_api::browse::{Browse, Browser, Held};
use weft_api::connector::Connector;
use weft_rig::{Kafka, Record};

const PARTITIONS: i32 = 2;
const ROUNDS: u32 = 15;

/// A small generator (splitmix64): the same seed is the same run.
struct Seed(u64);

impl Seed {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// What a topic should show: places, as partition and offset.
struct Model {
    topic: String,
    there: BTreeSet<(i32, i64)>,
    browse: Arc<dyn Browse>,
    seed: Seed,
}

impl Model {
    fn new(seed: u64) -> Model {
        let topic = Kafka::shared().topic("model", PARTITIONS);
        let section = json!({ "brokers": [Kafka::shared().brokers()], "topic": topic });
        let builder = weft_kafka::Kafka.egress(&node(&section), &egress_settings());
        let builder = builder.unwrap().map_err(|f| format!("{f:?}")).unwrap();
        Model {
            topic,
            there: BTreeSet::new(),
            browse: builder.browse().unwrap(),
            seed: Seed(seed),
        }
    }

    /// More letters: plain, or of a transaction that is committed or not.
    fn produce(&mut self) {
        let count = self.seed.below(12);
        let records: Vec<Record> = (0..count)
            .map(|n| {
                let partition = i32::try_from(self.seed.below(2)).unwrap();
                Record::to(&self.topic).partition(partition).value(n.to_string())
            })
            .collect();
        match self.seed.below(4) {
            0 if count > 0 => drop(Kafka::shared().transaction(&records, false)),
            1 if count > 0 => self.there.extend(Kafka::shared().transaction(&records, true)),
            _ => self.there.extend(Kafka::shared().produce(&records)),
        }
    }

    /// Retention takes the oldest of a partition.
    fn retain(&mut self) {
        let partition = i32::try_from(self.seed.below(2)).unwrap();
        let (low, high) = Kafka::shared().offsets(&self.topic)[usize::try_from(partition).unwrap()];
        let most = u64::try_from((high - low).min(8)).unwrap();
        let before = low + i64::try_from(self.seed.below(most + 1)).unwrap();
        if before > low {
            Kafka::shared().delete_records(&self.topic, partition, before);
            self.there
                .retain(|(theirs, offset)| *theirs != partition || *offset >= before);
        }
    }

    /// Takes some or all, removes some of that, and ends well or is dropped.
    async fn take(&mut self) {
        let mut taker = self.browse.take().await.unwrap();
        let held = self.read(&mut taker).await;
        let percent = [0, 20, 50, 90, 100][usize::try_from(self.seed.below(5)).unwrap()];
        let mut left = BTreeSet::new();
        for held in &held {
            if self.seed.chance(percent) {
                left.insert(self.place(held));
            }
        }
        // In any order.
        let (some, others): (Vec<_>, Vec<_>) = left.iter().partition(|_| self.seed.chance(50));
        for (partition, offset) in others.into_iter().chain(some.into_iter().rev()) {
            let place = self.browse.read_place(&format!("{partition}/{offset}")).unwrap();
            taker.remove(place);
        }
        if self.seed.chance(75) {
            taker.close().await.unwrap();
            self.there.retain(|place| !left.contains(place));
            return;
        }
        drop(taker);
        // What was committed meanwhile has left; nothing else may have.
        let shown = self.look().await;
        self.there
            .retain(|place| shown.contains(place) || !left.contains(place));
    }

    async fn look(&self) -> BTreeSet<(i32, i64)> {
        let mut looker = self.browse.look(0).await.unwrap();
        let mut all = Vec::new();
        loop {
            let page = tokio::time::timeout(LIMIT, looker.next(5))
                .await
                .unwrap()
                .unwrap();
            if page.is_empty() {
                break;
            }
            all.extend(page);
        }
        assert!(all.is_sorted_by(|a, b| a.place < b.place), "places ascend");
        all.iter().map(|held| self.place(held)).collect()
    }

    /// The pages of a browser, up to the end or not so far.
    async fn read(&mut self, browser: &mut Box<dyn Browser>) -> Vec<Held> {
        let mut all = Vec::new();
        while !self.seed.chance(10) {
            let most = 1 + usize::try_from(self.seed.below(6)).unwrap();
            let page = tokio::time::timeout(LIMIT, browser.next(most))
                .await
                .unwrap()
                .unwrap();
            if page.is_empty() {
                break;
            }
            all.extend(page);
        }
        all
    }

    fn place(&self, held: &Held) -> (i32, i64) {
        let text = self.browse.write_place(held.place).unwrap();
        let (partition, offset) = text.split_once('/').unwrap();
        (partition.parse().unwrap(), offset.parse().unwrap())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_shows_what_a_plain_set_holds_whatever_came_and_left() {
    for seed in [1, 2] {
        let mut model = Model::new(seed);
        for round in 0..ROUNDS {
            tokio::task::block_in_place(|| model.produce());
            if model.seed.chance(25) {
                tokio::task::block_in_place(|| model.retain());
            }
            model.take().await;
            assert_eq!(model.look().await, model.there, "seed {seed}, round {round}");
        }
    }
}
