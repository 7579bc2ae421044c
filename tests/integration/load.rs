//! A paced load over UDP, of which every answer is kept and matched to its query.

use std::collections::HashMap;
use std::net::{SocketAddr, UdpSocket};

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use socket2::SockRef;

use crate::process::client;

/// Queries under way at once: fewer than what the daemon's receive buffer holds, so that none is lost though the whole
/// machine stands still for a while.
const UNDER_WAY: usize = 500;
/// How long an answer is waited for once everything has been sent.
const PATIENCE: Duration = Duration::from_secs(20);
/// Queries that are sent without a pause.
const BURST: usize = 5;
/// Every query has an id of its own, counting up from 0.
const MOST: usize = 1 << 16;

/// A query and its answer.
#[derive(Clone, Copy, Debug)]
pub struct Exchange {
    /// Position of the question in the list that was sent.
    pub question: usize,
    pub sent: Instant,
    pub received: Instant,
    /// Position of the answer, but for its id, in [`Load::answers`].
    pub answer: usize,
}

/// What came of the load.
pub struct Load {
    pub sent: usize,
    /// In the order in which the answers came.
    pub exchanges: Vec<Exchange>,
    /// The distinct answers.
    pub answers: Vec<Vec<u8>>,
    /// From the first query to the last one.
    pub lasted: Duration,
}

/// A load that goes on until it is stopped.
pub struct Running {
    stop: Arc<AtomicBool>,
    sender: JoinHandle<(Vec<Instant>, Duration)>,
    receiver: JoinHandle<Received>,
    questions: usize,
}

/// What the receiver has kept.
struct Received {
    /// Id, time, and position among the answers.
    answered: Vec<(u16, Instant, usize)>,
    answers: Vec<Vec<u8>>,
}

/// Sends one question after the other, over and over, from one socket: so many a second, at most 65,536 in all.
pub fn start(server: SocketAddr, questions: Vec<Vec<u8>>, per_second: f64) -> Running {
    let socket = client(Duration::from_millis(100));
    // As much as the system allows.
    SockRef::from(&socket).set_recv_buffer_size(4 << 20).unwrap();
    socket.connect(server).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    // How many have been sent in all, once that is known, and how many have been answered.
    let (all, answered) = (Arc::new(OnceLock::new()), Arc::new(AtomicUsize::new(0)));
    let count = questions.len();
    let receiver = std::thread::spawn({
        let (socket, all, answered) = (socket.try_clone().unwrap(), all.clone(), answered.clone());
        move || receive(&socket, &all, &answered)
    });
    let sender = std::thread::spawn({
        let stop = stop.clone();
        move || {
            let (started, mut sent) = (Instant::now(), Vec::new());
            while !stop.load(Ordering::SeqCst) && sent.len() < MOST {
                let due = ((started.elapsed().as_secs_f64() * per_second) as usize).min(MOST);
                let room = UNDER_WAY.saturating_sub(sent.len() - answered.load(Ordering::SeqCst));
                for _ in 0..due.saturating_sub(sent.len()).min(room).min(BURST) {
                    let id = u16::try_from(sent.len()).unwrap();
                    let mut query = questions[sent.len() % count].clone();
                    query[..2].copy_from_slice(&id.to_be_bytes());
                    sent.push(Instant::now());
                    socket.send(&query).unwrap();
                }
                std::thread::sleep(Duration::from_millis(1));
            }
            all.set(sent.len()).unwrap();
            (sent, started.elapsed())
        }
    });
    Running { stop, sender, receiver, questions: count }
}

fn receive(socket: &UdpSocket, all: &OnceLock<usize>, answered: &AtomicUsize) -> Received {
    let (mut received, mut answers, mut known) = (Vec::new(), Vec::new(), HashMap::new());
    let mut buffer = [0; 4096];
    let mut gives_up = None;
    while all.get() != Some(&received.len()) && gives_up.is_none_or(|at| Instant::now() < at) {
        if all.get().is_some() && gives_up.is_none() {
            gives_up = Some(Instant::now() + PATIENCE);
        }
        // Nothing to read is no error: the number of answers shows in the end.
        let Ok(length) = socket.recv(&mut buffer) else { continue };
        let at = Instant::now();
        let (id, rest) = buffer[..length].split_at(2);
        let answer = *known.entry(rest.to_vec()).or_insert_with(|| {
            answers.push([&[0, 0], rest].concat());
            answers.len() - 1
        });
        received.push((u16::from_be_bytes([id[0], id[1]]), at, answer));
        answered.fetch_add(1, Ordering::SeqCst);
    }
    Received { answered: received, answers }
}

impl Running {
    /// Stops sending and waits for the answers that are under way.
    pub fn stop(self) -> Load {
        self.stop.store(true, Ordering::SeqCst);
        let (sent, lasted) = self.sender.join().unwrap();
        let Received { answered, answers } = self.receiver.join().unwrap();
        let mut open = vec![true; sent.len()];
        let exchanges = answered.into_iter().map(|(id, received, answer)| {
            let index = usize::from(id);
            assert!(std::mem::take(&mut open[index]), "query {id} is answered twice");
            Exchange { question: index % self.questions, sent: sent[index], received, answer }
        });
        Load { sent: sent.len(), exchanges: exchanges.collect(), answers, lasted }
    }
}
