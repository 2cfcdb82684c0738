//! What left, remembered: marks that change, and the commits that keep them.
//!
//! Owns: the marks of what is being taken, and the thread that commits them.
//! Invariants
//! - Only what the browser said to have left is ever committed, and it counts as remembered when a commit's answer has come.
//! - There is one commit at a time. A browser that is dropped commits nothing more.
//! - A log that went back meanwhile (made anew, cut) is not marked: its offsets are other letters.
//!
//! Does not know: records; which offsets hold any.
//!
//! NOTE: brokers forget what a group committed some time after the last commit (`offsets.retention.minutes`, 7 days), and
//! each partition by itself. So the first commit, which also shows whether we may, speaks of all partitions.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::error::RDKafkaErrorCode as Code;
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::oneshot;
use weft_api::browse::BrowseError;

use super::client::Client;
use super::marks::Marks;
use super::topic::{self, Part};
use super::{Plan, errors, place};

/// How often what left is committed.
const EVERY: Duration = Duration::from_secs(1);
/// How long the end waits for its commit.
const CLOSE: Duration = Duration::from_secs(12);
/// How long the brokers may take to say where the log ends.
const ENDS: Duration = Duration::from_secs(5);
/// Most bytes of a commit's metadata, as brokers are set up (`offset.metadata.max.bytes`).
const METADATA_BYTES: usize = 4096;

/// Remembers what left.
pub(super) struct Keeper {
    books: Arc<Mutex<Vec<Book>>>,
    close: Sender<oneshot::Sender<Result<(), BrowseError>>>,
    plan: Arc<Plan>,
}

/// One partition's.
struct Book {
    number: i32,
    /// Where the log ended when it was opened.
    end: i64,
    marks: Marks,
    /// Letters that left.
    left: u64,
    /// As many of them as the last commit that was answered spoke of.
    committed: u64,
    /// Letters that found no room in that commit.
    forgotten: u64,
}

impl Keeper {
    /// Commits what is known of all of `parts`, which shows that it may, and starts the thread.
    ///
    /// # Errors
    /// The brokers did not take the commit.
    pub(super) fn start(client: Arc<Client>, plan: Arc<Plan>, parts: &[Part]) -> Result<Keeper, BrowseError> {
        let book = |part: &Part| Book {
            number: part.number,
            end: part.end,
            marks: part.marks.clone(),
            left: 0,
            committed: 0,
            forgotten: 0,
        };
        let books = Arc::new(Mutex::new(parts.iter().map(book).collect()));
        let mut committer = Committer {
            client,
            plan: plan.clone(),
            books: books.clone(),
            room: METADATA_BYTES,
        };
        committer.commit(|_| true)?;
        let (close, asked) = channel();
        std::thread::Builder::new()
            .name(format!("left-{}", plan.topic))
            .spawn(move || committer.run(&asked))
            .map_err(|error| BrowseError(format!("starting a thread that commits: {error}")))?;
        Ok(Keeper { books, close, plan })
    }

    /// The letter at `offset` has left, and `from..offset` hold none. Never waits for the brokers.
    pub(super) fn remove(&self, partition: i32, from: i64, offset: i64) {
        let mut books = lock(&self.books);
        if let Some(book) = of(&mut books, partition)
            && !book.marks.has_left(offset)
        {
            book.marks.remove(from, offset);
            book.left += 1;
        }
    }

    /// Commits what is left to commit.
    ///
    /// # Errors
    /// What left and is not remembered: how many letters, and why.
    pub(super) async fn close(self) -> Result<(), BrowseError> {
        if unsaved(&lock(&self.books)) > 0 {
            let (reply, answer) = oneshot::channel();
            // No thread: no answer either.
            let _ = self.close.send(reply);
            let why = match tokio::time::timeout(CLOSE, answer).await {
                Ok(Ok(Ok(()))) => None,
                Ok(Ok(Err(error))) => Some(error.0),
                Ok(Err(_)) => Some("the thread that commits has ended".to_owned()),
                Err(_) => Some(format!(
                    "kafka {} did not answer within {} s; see to the brokers or to the way there",
                    self.plan.brokers,
                    CLOSE.as_secs()
                )),
            };
            if let Some(why) = why {
                let letters = letters(unsaved(&lock(&self.books)));
                return Err(BrowseError(format!(
                    "{letters} left, but that is not remembered, and would come again: {why}"
                )));
            }
        }
        self.told_all()
    }

    /// Whether all that left found room.
    fn told_all(&self) -> Result<(), BrowseError> {
        let books = lock(&self.books);
        let forgotten: u64 = books.iter().map(|book| book.forgotten).sum();
        let Some(first) = books.iter().find(|book| book.forgotten > 0) else {
            return Ok(());
        };
        let oldest = place::of(first.number, first.marks.next()).map_or_else(String::new, place::write);
        Err(BrowseError(format!(
            "{} left but cannot be remembered, and would come again: group `{}` has no room for more of what left out of order; replay or purge the oldest first ({oldest})",
            letters(forgotten),
            self.plan.group
        )))
    }
}

/// The thread's side.
struct Committer {
    client: Arc<Client>,
    plan: Arc<Plan>,
    books: Arc<Mutex<Vec<Book>>>,
    /// Most bytes of metadata; brokers that take less say so.
    room: usize,
}

impl Committer {
    /// Commits every now and then until somebody asks for the end, or nobody can any more.
    fn run(mut self, asked: &Receiver<oneshot::Sender<Result<(), BrowseError>>>) {
        let mut failing = false;
        loop {
            match asked.recv_timeout(EVERY) {
                Err(RecvTimeoutError::Timeout) => {
                    let done = self.commit(Book::changed);
                    if let (Err(error), false) = (&done, failing) {
                        tracing::warn!(%error, "what left a kafka topic is not remembered yet; trying again");
                    }
                    failing = done.is_err();
                }
                Ok(reply) => {
                    // Nobody listens any more where it took too long.
                    let _ = reply.send(self.commit(Book::changed));
                    return;
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Commits the partitions that are `meant`, and waits for the answer.
    fn commit(&mut self, meant: impl Fn(&Book) -> bool) -> Result<(), BrowseError> {
        const DOING: &str = "committing what has left the topic";
        loop {
            let entries: Vec<Entry> = {
                let books = lock(&self.books);
                books
                    .iter()
                    .filter(|book| meant(book))
                    .map(|book| book.entry(self.room))
                    .collect()
            };
            if entries.is_empty() {
                return Ok(());
            }
            self.same_log(&entries)?;
            let mut list = TopicPartitionList::with_capacity(entries.len());
            for entry in &entries {
                let mut element = list.add_partition(&self.plan.topic, entry.number);
                element
                    .set_offset(Offset::Offset(entry.offset))
                    .map_err(|error| errors::failed(&self.plan, &self.client, DOING, &error))?;
                element.set_metadata(&entry.text);
            }
            match self.client.commit(&list, CommitMode::Sync) {
                Ok(()) => {
                    let mut books = lock(&self.books);
                    for entry in &entries {
                        if let Some(book) = of(&mut books, entry.number) {
                            book.committed = entry.left;
                            book.forgotten = entry.forgotten;
                        }
                    }
                    return Ok(());
                }
                Err(error)
                    if error.rdkafka_error_code() == Some(Code::OffsetMetadataTooLarge) && self.room > 0 =>
                {
                    self.room /= 2;
                    tracing::warn!(
                        group = self.plan.group,
                        bytes = self.room,
                        "kafka takes less metadata with a commit"
                    );
                }
                Err(error) => return Err(errors::failed(&self.plan, &self.client, DOING, &error)),
            }
        }
    }

    /// Whether the log is still the one that was read.
    fn same_log(&self, entries: &[Entry]) -> Result<(), BrowseError> {
        let numbers: Vec<i32> = entries.iter().map(|entry| entry.number).collect();
        let ends = topic::ends(
            &self.client,
            &self.plan,
            &numbers,
            Offset::End,
            Instant::now() + ENDS,
        )?;
        match entries.iter().zip(ends).find(|(entry, end)| *end < entry.end) {
            None => Ok(()),
            Some((entry, end)) => Err(BrowseError(format!(
                "partition {} of kafka topic `{}` ended at offset {} and ends at {end} now: the topic was made anew or cut meanwhile, and what it holds are other letters; look again",
                entry.number, self.plan.topic, entry.end
            ))),
        }
    }
}

/// What a commit says of one partition.
struct Entry {
    number: i32,
    end: i64,
    offset: i64,
    text: String,
    left: u64,
    forgotten: u64,
}

impl Book {
    fn changed(&self) -> bool {
        self.left != self.committed
    }

    fn entry(&self, room: usize) -> Entry {
        let written = self.marks.write(room);
        Entry {
            number: self.number,
            end: self.end,
            offset: self.marks.next(),
            text: written.text,
            left: self.left,
            forgotten: written.forgotten,
        }
    }
}

/// The partition's book; they are in the order of their numbers.
fn of(books: &mut [Book], number: i32) -> Option<&mut Book> {
    let at = books.binary_search_by_key(&number, |book| book.number).ok()?;
    books.get_mut(at)
}

fn unsaved(books: &[Book]) -> u64 {
    books.iter().map(|book| book.left - book.committed).sum()
}

fn letters(count: u64) -> String {
    match count {
        1 => "1 letter".to_owned(),
        many => format!("{many} letters"),
    }
}

fn lock(books: &Mutex<Vec<Book>>) -> MutexGuard<'_, Vec<Book>> {
    // A panic while it was held leaves nothing half done.
    books.lock().unwrap_or_else(PoisonError::into_inner)
}
