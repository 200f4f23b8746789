//! What `#[kunit_tests]` makes of a test.

use super::{Explore, Machine};

/// How many schedules each test has to survive.
const SCHEDULES: usize = 3_000;

/// Explores `test`, whose full name is `name`.
///
/// # Panics
///
/// With the report, if a schedule fails, or if the test returns an error in one.
#[track_caller]
pub fn kunit_case<R: Outcome + 'static>(name: &'static str, test: fn() -> R) {
    let stats = Explore::new(name)
        .schedules(SCHEDULES)
        .run(move |_: &Machine| {
            if let Some(error) = test().error() {
                panic!("{name} returned {error}");
            }
        })
        .unwrap();
    println!(
        "{name}: {} schedules, {} steps",
        stats.schedules, stats.steps
    );
}

/// What a test may return. As in Linux, but with the error.
pub trait Outcome {
    /// The error, if it is one.
    fn error(&self) -> Option<String>;
}

impl Outcome for () {
    fn error(&self) -> Option<String> {
        None
    }
}

impl<T, E: std::fmt::Debug> Outcome for Result<T, E> {
    fn error(&self) -> Option<String> {
        self.as_ref().err().map(|error| format!("{error:?}"))
    }
}
