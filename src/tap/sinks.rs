//! Where messages go: a dnstap receiver at a Unix socket, a dnstap file, a file of JSON lines.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use super::dnstap::{Kind, Teller, encode};
use super::frames::{Control, control, data, expect};
use super::line::Line;
use super::{Entry, now};

/// How long a receiver may take nothing, or not answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Octets that are written at once.
const BUFFER: usize = 64 << 10;

/// Takes messages, one thread alone.
pub(super) trait Sink {
    /// Whether it can work, at the start.
    fn check(&mut self) -> io::Result<()>;

    /// Opens it anew.
    fn open(&mut self) -> io::Result<()>;

    fn write(&mut self, entry: &Entry) -> io::Result<()>;

    /// What was written is with the kernel.
    fn flush(&mut self) -> io::Result<()>;

    /// Called while nothing comes.
    fn tend(&mut self) -> io::Result<()>;

    /// The last call.
    fn close(&mut self) -> io::Result<()>;
}

/// A file that somebody else may move away, as those do that rotate logs: then it is made anew.
#[derive(Debug)]
struct Rotated {
    path: PathBuf,
    open: Option<BufWriter<File>>,
}

impl Rotated {
    fn new(path: PathBuf) -> Self {
        Self { path, open: None }
    }

    fn open(&mut self) -> io::Result<&mut BufWriter<File>> {
        let file = named(&self.path, append(&self.path))?;
        Ok(self.open.insert(BufWriter::with_capacity(BUFFER, file)))
    }

    fn writer(&mut self) -> io::Result<&mut BufWriter<File>> {
        self.open.as_mut().ok_or_else(|| io::Error::other("the file is not open"))
    }

    /// Whether the file is no longer the one at its path.
    fn was_moved(&self) -> bool {
        let Some(open) = &self.open else { return true };
        let identity = |metadata: std::fs::Metadata| (metadata.dev(), metadata.ino());
        match (open.get_ref().metadata(), look(&self.path)) {
            (Ok(ours), Ok(theirs)) => identity(ours) != identity(theirs),
            _ => true,
        }
    }
}

/// A file of JSON lines, appended to.
#[derive(Debug)]
pub(super) struct Lines {
    file: Rotated,
}

impl Lines {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { file: Rotated::new(path) }
    }
}

impl Sink for Lines {
    fn check(&mut self) -> io::Result<()> {
        self.open()
    }

    fn open(&mut self) -> io::Result<()> {
        let ended = named(&self.file.path, has_ended(&self.file.path))?;
        let writer = self.file.open()?;
        // A line that a full disk cut short stays as it is, and is no part of the next.
        if ended { Ok(()) } else { writer.write_all(b"\n") }
    }

    fn write(&mut self, entry: &Entry) -> io::Result<()> {
        let writer = self.file.writer()?;
        serde_json::to_writer(&mut *writer, &Line::of(entry))?;
        writer.write_all(b"\n")
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.writer()?.flush()?;
        self.tend()
    }

    fn tend(&mut self) -> io::Result<()> {
        if self.file.was_moved() { self.open() } else { Ok(()) }
    }

    fn close(&mut self) -> io::Result<()> {
        self.file.writer()?.flush()
    }
}

/// A dnstap receiver, or a file for one.
#[derive(Debug)]
pub(super) struct Dnstap {
    teller: Teller,
    to: Way,
    /// A message on its way.
    octets: Vec<u8>,
}

#[derive(Debug)]
enum Way {
    Socket { path: PathBuf, open: Option<BufWriter<UnixStream>> },
    File(Rotated),
}

impl Dnstap {
    pub(super) fn at_socket(path: PathBuf, identity: &str) -> Self {
        Self::to(Way::Socket { path, open: None }, identity)
    }

    pub(super) fn in_file(path: PathBuf, identity: &str) -> Self {
        Self::to(Way::File(Rotated::new(path)), identity)
    }

    fn to(to: Way, identity: &str) -> Self {
        const VERSION: &str = concat!("concierge ", env!("CARGO_PKG_VERSION"));
        Self { teller: Teller { identity: identity.as_bytes().into(), version: VERSION }, to, octets: Vec::new() }
    }

    fn writer(&mut self) -> io::Result<&mut dyn Write> {
        match &mut self.to {
            Way::Socket { open: Some(writer), .. } => Ok(writer),
            Way::Socket { .. } => Err(io::Error::other("nobody is connected")),
            Way::File(file) => Ok(file.writer()?),
        }
    }
}

impl Sink for Dnstap {
    fn check(&mut self) -> io::Result<()> {
        match &self.to {
            // It may come later.
            Way::Socket { .. } => Ok(()),
            Way::File(_) => self.open(),
        }
    }

    fn open(&mut self) -> io::Result<()> {
        match &mut self.to {
            Way::Socket { path, open } => {
                *open = None;
                *open = Some(named(path, connect(path))?);
                Ok(())
            }
            Way::File(file) => {
                // A file holds one stream: what an earlier one left is kept beside it.
                if file.was_moved() {
                    named(&file.path, put_aside(&file.path))?;
                    control(Control::Start, file.open()?)?;
                }
                Ok(())
            }
        }
    }

    fn write(&mut self, entry: &Entry) -> io::Result<()> {
        let mut octets = std::mem::take(&mut self.octets);
        encode(&self.teller, entry, Kind::Query, &mut octets);
        let mut outcome = self.writer().and_then(|mut writer| data(&octets, &mut writer));
        if outcome.is_ok() && entry.response.is_some() {
            encode(&self.teller, entry, Kind::Response, &mut octets);
            outcome = self.writer().and_then(|mut writer| data(&octets, &mut writer));
        }
        self.octets = octets;
        outcome
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer()?.flush()?;
        self.tend()
    }

    fn tend(&mut self) -> io::Result<()> {
        match &mut self.to {
            // That it went away is noticed by the next write.
            Way::Socket { .. } => Ok(()),
            Way::File(file) if file.was_moved() => {
                control(Control::Stop, file.writer()?)?;
                file.writer()?.flush()?;
                self.open()
            }
            Way::File(_) => Ok(()),
        }
    }

    fn close(&mut self) -> io::Result<()> {
        let mut writer = self.writer()?;
        control(Control::Stop, &mut writer)?;
        writer.flush()?;
        match &mut self.to {
            Way::Socket { open: Some(writer), .. } => expect(Control::Finish, writer.get_mut()),
            _ => Ok(()),
        }
    }
}

/// Connects, and agrees on what is sent.
fn connect(path: &Path) -> io::Result<BufWriter<UnixStream>> {
    let mut stream = UnixStream::connect(path)?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    control(Control::Ready, &mut stream)?;
    expect(Control::Accept, &mut stream)?;
    control(Control::Start, &mut stream)?;
    Ok(BufWriter::with_capacity(BUFFER, stream))
}

/// Readable by the daemon's account and its group: who asks for what is nobody else's business.
fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o640).open(path)
}

/// Whether a file of lines ends with a whole one; so does one that is not there.
#[expect(clippy::disallowed_methods, reason = "I/O shell: reads a file")]
fn has_ended(path: &Path) -> io::Result<bool> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        Err(error) => return Err(error),
    };
    // A pipe or a device has no end.
    if !file.metadata()?.is_file() || file.metadata()?.len() == 0 {
        return Ok(true);
    }
    let mut last = [0];
    file.seek(io::SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

/// Renames what is there to a name with the time.
fn put_aside(path: &Path) -> io::Result<()> {
    match look(path) {
        Ok(metadata) if metadata.len() > 0 => {
            let nanos = now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
            let mut aside = path.as_os_str().to_owned();
            aside.push(format!(".{nanos}"));
            std::fs::rename(path, aside)
        }
        _ => Ok(()),
    }
}

fn look(path: &Path) -> io::Result<std::fs::Metadata> {
    std::fs::metadata(path)
}

fn named<T>(path: &Path, outcome: io::Result<T>) -> io::Result<T> {
    outcome.map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
}
