//! The suite on crates of a few lines, which need no kernel.

use super::*;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

/// A crate such as the hosted one, in small.
const HOSTED: &str = r#"
pub mod bindings {
    pub type gfp_t = u32;
    pub const FLAG: gfp_t = 1 << 4;
    pub struct device { pub id: u32, pub driver_data: *mut u8 }
    pub unsafe fn get_device(dev: *mut device) -> *mut device { dev }
    pub unsafe fn put_device(dev: *mut device) {}
}
pub mod irq {
    mod request {
        /// An answer.
        #[derive(Clone, Copy)]
        pub enum Answer { None, Handled }
        pub struct Line<'a, T: ?Sized + Send, const N: usize = 1>(&'a [u8; N], &'a T);
        impl<'a, T: ?Sized + Send, const N: usize> Line<'a, T, N> {
            pub const LENGTH: usize = N;
            pub fn number(&self) -> u32 { 0 }
            pub unsafe fn data(&mut self) -> &mut [u8] { &mut [] }
            pub const fn depth(&self) -> usize { N }
            pub fn is_named(&self, like: impl Fn(&str) -> bool) -> bool { false }
            pub fn names(&self) -> impl Iterator<Item = &'a str> + 'a { core::iter::empty() }
        }
        impl<T: ?Sized + Send> core::ops::Deref for Line<'_, T> {
            type Target = T;
            fn deref(&self) -> &T { self.1 }
        }
    }
    pub use request::{Answer, Line};
}
pub trait Handler: Sync {
    type Data<'a>: Send;
    const NAME: &'static str;
    fn handle<'a>(&self, data: Self::Data<'a>) -> irq::Answer;
    fn thread(&self) -> irq::Answer { irq::Answer::None }
}
pub struct Quiet;
impl Handler for Quiet {
    type Data<'a> = &'a u8;
    const NAME: &'static str = "";
    fn handle<'a>(&self, _: &'a u8) -> irq::Answer { irq::Answer::Handled }
}
#[macro_export]
macro_rules! answer { () => {} }
pub mod prelude { pub use crate::irq::Answer; pub use core::pin::Pin; }
pub mod hosted { pub fn explore() {} }
"#;

/// Whether the installed rustdoc's JSON is of the format that this is written for. With another one
/// the suite says so; the rest of the workspace has nothing to do with it.
fn rustdoc_is_known() -> bool {
    static KNOWN: OnceLock<bool> = OnceLock::new();
    *KNOWN.get_or_init(|| {
        let json: serde_json::Value = serde_json::from_str(&Small::new("").describe()).unwrap();
        let known = json["format_version"] == rustdoc_types::FORMAT_VERSION;
        if !known {
            eprintln!(
                "left out: this rustdoc writes format {}",
                json["format_version"]
            );
        }
        known
    })
}

/// rustc and rustdoc, on such a crate.
struct Small {
    dir: tempfile::TempDir,
}

impl Small {
    fn new(kernel: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("kernel.rs"), kernel).unwrap();
        let small = Self { dir };
        let built = small
            .rustc()
            .args([
                "--cap-lints=allow",
                "--crate-type=lib",
                "--crate-name=kernel",
                "--out-dir",
            ])
            .args([small.path(""), small.path("kernel.rs")])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&built.stderr);
        assert!(built.status.success(), "{said}");
        small
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn rustc(&self) -> Command {
        let mut rustc = Command::new("rustc");
        rustc.args(["--edition=2021", "-L"]);
        rustc.arg(self.path(""));
        rustc
    }

    fn describe(&self) -> String {
        let made = Command::new("rustdoc")
            .args(["--edition=2021", "--crate-name=kernel", "--out-dir"])
            .args([self.path(""), self.path("kernel.rs")])
            .args(["-Zunstable-options", "--output-format=json"])
            .args(["--document-hidden-items", "--cap-lints=allow"])
            .env("RUSTC_BOOTSTRAP", "1")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&made.stderr);
        assert!(made.status.success(), "{said}");
        fs::read_to_string(self.path("kernel.json")).unwrap()
    }

    fn checks(&self, world: World) -> Checks {
        let surface = Surface::new(surface::read(&self.describe()).unwrap()).unwrap();
        checks::checks(&surface, world).unwrap()
    }

    /// The values of constants, as [`values`] finds them.
    fn values(&self, checks: &[Check]) -> BTreeMap<String, i128> {
        let valued: Vec<_> = checks.iter().filter(|c| c.value.is_some()).collect();
        let lines = valued
            .iter()
            .map(|check| format!("println!(\"{{}}\", {});", check.value.as_ref().unwrap()));
        let text = format!("fn main() {{ {} }}", lines.collect::<String>());
        fs::write(self.path("values.rs"), text).unwrap();
        let mut rustc = self.rustc();
        rustc.args(["--extern", "kernel", "-o"]);
        rustc.args([self.path("values"), self.path("values.rs")]);
        assert!(rustc.status().unwrap().success());
        let printed = Command::new(self.path("values")).output().unwrap().stdout;
        let printed = String::from_utf8(printed).unwrap();
        let values = printed.lines().map(|line| line.parse().unwrap());
        valued.iter().map(|c| c.name.clone()).zip(values).collect()
    }

    /// The names of the checks that do not hold for this crate.
    fn failing(&self, checks: &[Check]) -> BTreeSet<String> {
        let file = self.path("checks.rs");
        let failing = sift::failing(checks, "", |text| {
            fs::write(&file, text)?;
            let mut rustc = self.rustc();
            rustc.args(["--crate-type=lib", "--error-format=json", "--extern=kernel"]);
            rustc
                .args(["--emit=metadata", "-o"])
                .arg(self.path("checks.rmeta"));
            Checked::new(&rustc.arg(&file).output()?, &file)
        });
        let failing = failing.unwrap();
        failing
            .keys()
            .map(|&check| checks[check].name.clone())
            .collect()
    }
}

fn all(checks: &Checks, values: &BTreeMap<String, i128>) -> Vec<Check> {
    let kinds = Kind::OF_THE_CRATE.into_iter();
    kinds.flat_map(|kind| part(checks, kind, values)).collect()
}

/// The checks of `HOSTED`, for Linux.
fn checks_for_linux() -> &'static [Check] {
    static CHECKS: OnceLock<Vec<Check>> = OnceLock::new();
    CHECKS.get_or_init(|| {
        let hosted = Small::new(HOSTED);
        let values = hosted.values(&hosted.checks(World::Hosted).checks);
        all(&hosted.checks(World::Linux), &values)
    })
}

/// What they say about a Linux that differs from `HOSTED` by some replacements.
fn differing(replacements: &[(&str, &str)]) -> Vec<String> {
    // What is C's is `extern "C"` in Linux.
    let mut linux = HOSTED
        .replace("unsafe fn get_", "unsafe extern \"C\" fn get_")
        .replace("unsafe fn put_", "unsafe extern \"C\" fn put_");
    for (old, new) in replacements {
        assert!(linux.contains(old), "{old}");
        linux = linux.replace(old, new);
    }
    let failing = Small::new(&linux).failing(checks_for_linux());
    failing.into_iter().collect()
}

#[test]
fn the_checks_hold_for_what_they_were_written_from() {
    if !rustdoc_is_known() {
        return;
    }
    let hosted = Small::new(HOSTED);
    let of_hosted = hosted.checks(World::Hosted);
    assert_eq!(of_hosted.unnamed, [""; 0]);
    let checks = all(&of_hosted, &hosted.values(&of_hosted.checks));
    assert_eq!(hosted.failing(&checks), BTreeSet::new());
    assert_eq!(differing(&[]), [""; 0]);
    let names: Vec<_> = checks.iter().map(|check| check.name.as_str()).collect();
    for name in [
        "kernel::prelude::Pin",
        "kernel::prelude::Answer",
        "kernel::irq::Line",
        "kernel::bindings::device.id",
        "kernel::bindings::get_device",
        "kernel::irq::Line<'a, T, { N }>::names",
        "kernel::irq::Answer::Handled",
        "kernel::Handler (implemented)",
        "kernel::Handler::Data",
        "kernel::answer",
        "core::ops::Deref for kernel::irq::Line<'e1, T>",
        "!Send for kernel::bindings::device",
    ] {
        assert!(names.contains(&name), "{name} is not in {names:#?}");
    }
    assert!(!names.iter().any(|name| name.contains("explore")));
}

#[test]
fn a_name_that_linux_does_not_have_is_told() {
    if !rustdoc_is_known() {
        return;
    }
    assert_eq!(
        differing(&[("fn put_device", "fn drop_device")]),
        ["kernel::bindings::put_device"]
    );
    assert_eq!(
        differing(&[("pub use core::pin::Pin;", "")]),
        ["kernel::prelude::Pin"]
    );
    assert_eq!(
        differing(&[("macro_rules! answer", "macro_rules! question")]),
        ["kernel::answer"]
    );
    assert_eq!(
        differing(&[("driver_data:", "data:")]),
        ["kernel::bindings::device.driver_data"]
    );
}

#[test]
fn a_signature_that_differs_is_told() {
    if !rustdoc_is_known() {
        return;
    }
    let number = "kernel::irq::Line<'a, T, { N }>::number";
    let data = "kernel::irq::Line<'a, T, { N }>::data";
    let depth = "kernel::irq::Line<'a, T, { N }>::depth";
    for (old, new, name) in [
        (
            "number(&self) -> u32 { 0 }",
            "number(&self) -> u64 { 0 }",
            number,
        ),
        ("number(&self)", "number(&mut self)", number),
        ("fn number", "unsafe fn number", number),
        ("unsafe fn data", "fn data", data),
        ("const fn depth", "fn depth", depth),
        (
            "Fn(&str)",
            "Send + Fn(&str)",
            "kernel::irq::Line<'a, T, { N }>::is_named",
        ),
        (
            "put_device(dev: *mut device)",
            "put_device(dev: *mut device, _: u32)",
            "kernel::bindings::put_device",
        ),
    ] {
        assert_eq!(differing(&[(old, new)]), [name], "{new}");
    }
}

#[test]
fn a_value_or_a_type_that_differs_is_told() {
    if !rustdoc_is_known() {
        return;
    }
    assert_eq!(
        differing(&[("1 << 4", "1 << 5")]),
        ["kernel::bindings::FLAG"]
    );
    assert_eq!(
        differing(&[("pub id: u32", "pub id: u64")]),
        ["kernel::bindings::device.id"]
    );
    assert_eq!(
        differing(&[
            ("const N: usize = 1", "const N: usize = 2"),
            ("Line<'_, T>", "Line<'_, T, 1>")
        ]),
        [
            "core::ops::Deref for kernel::irq::Line<'e1, T>",
            "kernel::irq::Line"
        ]
    );
    assert_eq!(
        differing(&[("{ None, Handled }", "{ None, Handled, WakeThread }")]),
        ["kernel::irq::Answer"]
    );
    assert_eq!(
        differing(&[("{ None, Handled }", "{ Handled, None }")]),
        ["kernel::irq::Answer::Handled", "kernel::irq::Answer::None"]
    );
}

#[test]
fn what_an_implementation_takes_is_told() {
    if !rustdoc_is_known() {
        return;
    }
    assert_eq!(
        differing(&[("fn thread(&self)", "fn other(&self) {} fn thread(&self)")]),
        [""; 0],
        "a method that need not be written is no concern of a driver that does not know it"
    );
    assert_eq!(
        differing(&[
            (
                "    fn thread(&self)",
                "    fn other(&self); fn thread(&self)"
            ),
            (
                "impl Handler for Quiet {",
                "impl Handler for Quiet { fn other(&self) {}"
            )
        ]),
        [
            "kernel::Handler (implemented with all its items)",
            "kernel::Handler (implemented)"
        ]
    );
    assert_eq!(
        differing(&[("pub trait Handler: Sync", "pub trait Handler")]),
        ["kernel::Handler"]
    );
    assert_eq!(
        differing(&[("type Data<'a>: Send;", "type Data<'a>;")]),
        ["kernel::Handler::Data"]
    );
}

#[test]
fn a_trait_that_is_not_implemented_is_told() {
    if !rustdoc_is_known() {
        return;
    }
    assert_eq!(
        differing(&[("#[derive(Clone, Copy)]", "#[derive(Clone)]")]),
        ["core::marker::Copy for kernel::irq::Answer"]
    );
    assert_eq!(
        differing(&[(
            "pub struct Quiet;",
            "pub struct Quiet(*mut u8); unsafe impl Sync for Quiet {}"
        )]),
        ["Send for kernel::Quiet", "kernel::Quiet (unit)"]
    );
    assert_eq!(
        differing(&[(
            "    pub unsafe extern \"C\" fn get_device",
            "    unsafe impl Send for device {} pub unsafe extern \"C\" fn get_device"
        )]),
        ["!Send for kernel::bindings::device"]
    );
}

#[test]
fn what_is_left_to_do_by_hand_has_to_be_done_and_needed() {
    const TABLE: &[deliberate::Deliberate] = &[deliberate::Deliberate {
        why: "a test of the table of what is done by hand",
        names: &["kernel::Atomic<T>::load", "kernel::gone"],
    }];
    let unnamed = |names: &[&str]| -> Vec<String> {
        let name = |name: &&str| format!("{name}: no driver can name `Ops`");
        names.iter().map(name).collect()
    };
    let names = unnamed(&["kernel::Atomic<T>::load", "kernel::xchg"]);
    assert_eq!(
        by_hand(&names, "let _ = Atomic::store;", &mut Table::new(TABLE)),
        [
            "kernel::Atomic<T>::load is not in hosted/tests/signatures.rs",
            "kernel::xchg: no driver can name `Ops`, and nobody checks it",
            "kernel::gone needs no check by hand (any more)",
        ]
    );
    let names = unnamed(&["kernel::Atomic<T>::load", "kernel::gone"]);
    let text = "let _ = Atomic::load; gone();";
    assert_eq!(by_hand(&names, text, &mut Table::new(TABLE)), [""; 0]);
}

#[test]
fn what_differs_is_red_unless_it_is_on_purpose() {
    const TABLE: &[deliberate::Deliberate] = &[deliberate::Deliberate {
        why: "a test of the table of differences",
        names: &["kernel::printk", "kernel::idle"],
    }];
    let mut table = Table::new(TABLE);
    let outcome = |differ: &[&str]| Outcome {
        kind: Kind::Bindings,
        took: Duration::ZERO,
        checked: 7,
        valued: 0,
        differ: differ
            .iter()
            .map(|name| ((*name).to_owned(), "no such name".to_owned()))
            .collect(),
        complaints: Vec::new(),
    };
    let Verdict::Good(words) = outcome(&["kernel::printk"]).case(&mut table).verdict else {
        panic!("red");
    };
    assert_eq!(
        words,
        "7 C functions with their signatures; 1 differ on purpose"
    );
    let Verdict::Bad(why) = outcome(&["kernel::printk", "kernel::other"])
        .case(&mut table)
        .verdict
    else {
        panic!("green");
    };
    assert_eq!(why, "kernel::other: no such name");
    let Verdict::Bad(why) = differences(&table).verdict else {
        panic!("green");
    };
    assert!(why.ends_with("kernel::idle"), "{why}");
}
