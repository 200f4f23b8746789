//! What a failure says, to a program ([`Failure`]'s fields) and to a person (its `Display`).

use std::fmt;

/// What kind of mistake was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// Memory was used after it was freed.
    UseAfterFree,
    /// Memory was freed while something in it was still registered, queued, held or running.
    FreedWhileActive,
    /// A callback would have run on freed memory.
    RanAfterFree,
    /// Something that may sleep was called where sleeping is not allowed.
    SleepInAtomic,
    /// Something was still there at the end.
    Leak,
    /// Nothing could run any more.
    Deadlock,
    /// The execution did not end.
    Livelock,
    /// An address that nothing is at, or a device register that is not mapped.
    WildAccess,
    /// Freed twice, or never allocated.
    BadFree,
    /// A C function was called in a way that its documentation forbids.
    Misuse,
    /// A panic, of the driver or of the scenario.
    Panic,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::UseAfterFree => "use after free",
            Kind::FreedWhileActive => "freed while active",
            Kind::RanAfterFree => "ran after free",
            Kind::SleepInAtomic => "sleep in atomic context",
            Kind::Leak => "leak",
            Kind::Deadlock => "deadlock",
            Kind::Livelock => "livelock",
            Kind::WildAccess => "wild access",
            Kind::BadFree => "bad free",
            Kind::Misuse => "misuse",
            Kind::Panic => "panic",
        })
    }
}

/// A schedule that failed.
#[derive(Clone, Debug)]
pub struct Failure {
    /// What kind of mistake was found.
    pub kind: Kind,
    /// What happened, in a sentence.
    pub message: String,
    /// The schedule. Running it again gives the same failure.
    pub schedule: u64,
    /// How many schedules had run, with this one.
    pub tried: usize,
    pub(crate) who: String,
    pub(crate) facts: Vec<String>,
    pub(crate) waits: Vec<String>,
    pub(crate) trace: Vec<String>,
    pub(crate) dmesg: Vec<String>,
    /// The command that runs the exploration.
    pub(crate) command: String,
}

impl Failure {
    /// A report about a moment that nothing more is known about.
    pub(crate) fn bare(kind: Kind, message: String, facts: Vec<String>) -> Self {
        Failure {
            kind,
            message,
            facts,
            schedule: 0,
            tried: 0,
            who: String::new(),
            waits: Vec::new(),
            trace: Vec::new(),
            dmesg: Vec::new(),
            command: String::new(),
        }
    }

    /// What happened last, one line for each event.
    pub fn trace(&self) -> &[String] {
        &self.trace
    }

    /// Where things were registered, allocated, freed, called.
    pub fn facts(&self) -> &[String] {
        &self.facts
    }

    /// The task that failed, and its CPU.
    pub fn who(&self) -> &str {
        &self.who
    }

    /// For a deadlock: who waits for what.
    pub fn waits(&self) -> &[String] {
        &self.waits
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}", self.kind, self.message)?;
        for fact in &self.facts {
            writeln!(f, "  {fact}")?;
        }
        if !self.who.is_empty() {
            writeln!(f, "  by          {}", self.who)?;
        }
        for wait in &self.waits {
            writeln!(f, "  {wait}")?;
        }
        if !self.trace.is_empty() {
            writeln!(f, "  what happened before (step, where, who, what):")?;
            for event in &self.trace {
                writeln!(f, "  {event}")?;
            }
        }
        if !self.dmesg.is_empty() {
            writeln!(f, "  the kernel's log:")?;
            for line in self.dmesg.iter().rev().take(10).rev() {
                writeln!(f, "    {line}")?;
            }
        }
        writeln!(f, "  found in schedule {} of this run", self.tried)?;
        write!(
            f,
            "  again:      DEVSCOPE_SCHEDULE={:x} {}",
            self.schedule, self.command
        )
    }
}

impl std::error::Error for Failure {}
