//! rustc as Kbuild calls it, for programs that are checked against Linux's own `kernel` crate and
//! never run.
//!
//! Kbuild compiles devscope and a driver of one line. Each command that it used is next to the object
//! it made (`.driver.o.cmd`), and is given again, with another file at its end and nothing but
//! metadata to make.

use crate::module::{self, Module};
use crate::progress::Step;
use crate::vm::Ready;
use anyhow::{anyhow, bail, Context, Result};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The name of the driver of one line.
const PROBE: &str = "probe";

/// rustc, with the flags and crates that a driver is compiled with.
pub struct Rustc {
    /// The module's directory, which paths in the command start at.
    dir: PathBuf,
    variables: Vec<(String, String)>,
    program: String,
    arguments: Vec<String>,
}

impl Rustc {
    /// Builds devscope in `dir`, with links to `sources` (directories of the checkout) beside it.
    pub fn learn(
        ready: &Ready,
        repository: &Path,
        dir: &Path,
        sources: &[&str],
        step: &mut Step,
    ) -> Result<Self> {
        step.say("devscope and a driver of one line, by Kbuild");
        let objects = std::path::absolute(dir.join("module"))?;
        if objects.exists() {
            fs::remove_dir_all(&objects)?;
        }
        for part in ["src"].iter().chain(sources) {
            module::link_sources(&repository.join(part), &objects.join(part))?;
        }
        let driver = format!("examples/{PROBE}/driver");
        fs::create_dir_all(objects.join(&driver).with_file_name(""))?;
        fs::write(
            objects.join(&driver).with_extension("rs"),
            "//! Nothing but its command is of interest.\n\nuse devscope as _;\n",
        )?;
        fs::write(
            objects.join("Kbuild"),
            module::kbuild(&[Module::example(PROBE)]),
        )?;

        let log = dir.join("module.log");
        let _ = fs::remove_file(&log);
        ready
            .tools
            .kernel_make(
                &ready.source.tree.linux,
                &ready.kernel.build,
                ready.source.rust_lib.as_deref(),
                &log,
            )?
            .arg(format!(
                "M={}",
                objects
                    .to_str()
                    .context("the target directory's path is not UTF-8")?
            ))
            .arg(format!("{driver}.o"))
            .run(step, |line| {
                line.starts_with("  ").then(|| line.trim().to_owned())
            })
            .with_context(|| {
                format!(
                    "devscope did not build against Linux {}",
                    ready.source.tree.version
                )
            })?;
        let command = saved(&objects.join(format!("examples/{PROBE}/.driver.o.cmd")))?;
        Self::from_command(&objects, &command)
    }

    /// Without what is particular to the file that the command was for.
    fn from_command(dir: &Path, command: &str) -> Result<Self> {
        let mut words = words(command)?.into_iter().peekable();
        let mut variables = Vec::new();
        while let Some((name, value)) = words.peek().and_then(|word| word.split_once('=')) {
            variables.push((name.to_owned(), value.to_owned()));
            words.next();
        }
        let program = words.next().context("Kbuild's command is empty")?;
        let mut arguments = Vec::new();
        while let Some(word) = words.next() {
            match word.as_str() {
                "--crate-name" | "--out-dir" => drop(words.next()),
                word if word.starts_with("--emit=") || word.ends_with(".rs") => {}
                _ => arguments.push(word),
            }
        }
        let takes = |crate_name: &str| {
            let named = |word: &String| word.split('=').next() == Some(crate_name);
            arguments
                .windows(2)
                .any(|pair| pair[0] == "--extern" && named(&pair[1]))
        };
        for crate_name in ["kernel", "devscope"] {
            if !takes(crate_name) {
                bail!("devscope bug: Kbuild's command for a driver does not say `--extern {crate_name}`:\n  {command}");
            }
        }
        Ok(Self {
            dir: dir.to_owned(),
            variables,
            program,
            arguments,
        })
    }

    /// Type-checks and borrow-checks `file`, a path from the module's directory or an absolute one.
    pub fn check(&self, file: &Path, name: &str, more: &[&str]) -> Result<Checked> {
        let metadata = self.dir.join("metadata");
        fs::create_dir_all(&metadata)?;
        let output = Command::new(&self.program)
            .current_dir(&self.dir)
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .env("RUSTC_BOOTSTRAP", "1")
            .env("LC_ALL", "C")
            .args(&self.arguments)
            .args(["--error-format=json", "--crate-name", name])
            .arg(format!(
                "--emit=metadata={}/{name}.rmeta",
                metadata.display()
            ))
            .args(more)
            .arg(file)
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("cannot start {}", self.program))?;
        Checked::new(&output, file)
    }
}

/// The command in a `.cmd` file of Kbuild's.
pub fn saved(file: &Path) -> Result<String> {
    let text =
        fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    text.lines()
        .find_map(|line| line.strip_prefix("savedcmd_")?.split_once(" := "))
        .map(|(_, command)| command.to_owned())
        .ok_or_else(|| {
            anyhow!(
                "devscope bug: {} has no `savedcmd_`: did Kbuild change?",
                file.display()
            )
        })
}

/// The first command of a line, in words, as a shell would take them.
pub fn words(line: &str) -> Result<Vec<String>> {
    let mut words = Vec::new();
    let mut word = None::<String>;
    let mut rest = line.chars();
    while let Some(c) = rest.next() {
        match c {
            ';' => break,
            ' ' | '\t' => words.extend(word.take()),
            '\'' | '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match rest.next() {
                        Some(end) if end == c => break,
                        Some('\\' | '$' | '`') if c == '"' => bail!("more than a plain string between double quotes, in Kbuild's command:\n  {line}"),
                        Some(inner) => word.push(inner),
                        None => bail!("no closing {c} in Kbuild's command:\n  {line}"),
                    }
                }
            }
            '\\' => word.get_or_insert_default().extend(rest.next()),
            '$' | '`' | '|' | '&' | '<' | '>' | '(' | '*' | '?' => {
                bail!("Kbuild's command is more than words:\n  {line}")
            }
            _ => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

/// What rustc says about a file that it has looked at.
pub struct Checked {
    pub messages: Vec<Message>,
}

impl Checked {
    /// Out of what rustc wrote with `--error-format=json`.
    pub fn new(output: &Output, file: &Path) -> Result<Self> {
        let said = String::from_utf8_lossy(&output.stderr);
        let messages = messages(&said).with_context(|| format!("checking {}", file.display()))?;
        let failed = messages.iter().any(|message| message.level == Level::Error);
        if output.status.success() == failed {
            bail!(
                "rustc ended with {} on {}, and said:\n{said}",
                output.status,
                file.display()
            );
        }
        Ok(Self { messages })
    }

    pub fn errors(&self) -> impl Iterator<Item = &Message> {
        self.messages.iter().filter(|m| m.level == Level::Error)
    }

    pub fn warnings(&self) -> impl Iterator<Item = &Message> {
        self.messages.iter().filter(|m| m.level == Level::Warning)
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Level {
    Error,
    Warning,
    /// Notes by themselves, and sums of what was said.
    Other,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    pub level: Level,
    /// `E0597`, or the name of a lint.
    pub code: Option<String>,
    pub text: String,
    /// As a terminal would show it.
    pub rendered: String,
}

impl Message {
    /// Where it points first: in the program, also if a macro of another crate is to blame.
    pub fn place(&self) -> Option<Place<'_>> {
        self.rendered.lines().find_map(place)
    }

    /// In one line: `error[E0597]: ... (src/irq.rs:40)`.
    pub fn short(&self) -> String {
        let first = self.rendered.lines().next().unwrap_or(&self.text);
        match self.place() {
            Some(Place { file, line }) => format!("{first} ({file}:{line})"),
            None => first.to_owned(),
        }
    }
}

/// A line of a file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place<'a> {
    pub file: &'a str,
    pub line: usize,
}

/// `  --> ui-tests/irq/captures_cell.rs:61:67`
pub fn place(line: &str) -> Option<Place<'_>> {
    let mut parts = line.trim_start().strip_prefix("--> ")?.rsplitn(3, ':');
    let (_column, line) = (parts.next()?, parts.next()?);
    Some(Place {
        line: line.parse().ok()?,
        file: parts.next()?,
    })
}

fn messages(said: &str) -> Result<Vec<Message>> {
    let lines = said.lines().filter(|line| !line.trim().is_empty());
    lines
        .map(|line| {
            let json: Value = serde_json::from_str(line)
                .map_err(|_| anyhow!("rustc says something that is not JSON: {line}"))?;
            let text = |key: &str| json[key].as_str().unwrap_or_default().to_owned();
            let level = match json["level"].as_str() {
                // "aborting due to 2 previous errors" points nowhere and has no code.
                Some("error") if text("message").starts_with("aborting due to ") => Level::Other,
                Some(level) if level.starts_with("error") => Level::Error,
                Some("warning")
                    if json["spans"]
                        .as_array()
                        .is_some_and(|spans| !spans.is_empty()) =>
                {
                    Level::Warning
                }
                // "2 warnings emitted"
                Some("warning") if text("message").ends_with(" emitted") => Level::Other,
                Some("warning") => Level::Warning,
                _ => Level::Other,
            };
            Ok(Message {
                level,
                code: json["code"]["code"].as_str().map(str::to_owned),
                text: text("message"),
                rendered: text("rendered"),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMAND: &str = "OBJTREE=/build RUST_MODFILE=./probe rustc --edition=2021 \
        -Aunused_attributes --crate-name probe --extern devscope=./libdevscope.rmeta \
        @/build/include/generated/rustc_cfg -Zcrate-attr=no_std \
        -Zcrate-attr='feature(arbitrary_self_types,asm_goto)' --extern kernel \
        --out-dir examples/probe/ --emit=dep-info=examples/probe/.driver.o.d \
        --emit=obj=examples/probe/driver.o examples/probe/driver.rs  ";

    #[test]
    fn what_belongs_to_the_file_is_left_out_of_the_command() {
        let rustc = Rustc::from_command(Path::new("/module"), COMMAND).unwrap();
        assert_eq!(rustc.program, "rustc");
        assert_eq!(
            rustc.variables,
            [("OBJTREE", "/build"), ("RUST_MODFILE", "./probe")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
        assert_eq!(
            rustc.arguments,
            [
                "--edition=2021",
                "-Aunused_attributes",
                "--extern",
                "devscope=./libdevscope.rmeta",
                "@/build/include/generated/rustc_cfg",
                "-Zcrate-attr=no_std",
                "-Zcrate-attr=feature(arbitrary_self_types,asm_goto)",
                "--extern",
                "kernel",
            ]
        );
    }

    #[test]
    fn a_command_without_the_real_kernel_is_refused() {
        let without = COMMAND.replace("--extern kernel", "");
        let error = Rustc::from_command(Path::new("/module"), &without)
            .err()
            .unwrap();
        assert!(error.to_string().contains("--extern kernel"), "{error}");
    }

    #[test]
    fn words_are_a_shells() {
        assert_eq!(
            words("a 'b c' d\\ e \"f g\"h ''  ; sed x").unwrap(),
            ["a", "b c", "d e", "f gh", ""]
        );
        for more in ["a $b", "a | b", "a 'b", "\"$(c)\""] {
            assert!(words(more).is_err(), "{more}");
        }
    }

    #[test]
    fn sums_are_neither_errors_nor_warnings() {
        let said = r#"{"message":"cannot borrow","code":{"code":"E0596"},"level":"error","spans":[{}],"rendered":"error[E0596]: cannot borrow\n  --> ui-tests/a/b.rs:7:3\n"}
{"message":"function `main` is never used","code":{"code":"dead_code"},"level":"warning","spans":[{}],"rendered":""}
{"message":"aborting due to 1 previous error; 1 warning emitted","code":null,"level":"error","spans":[],"rendered":""}
{"message":"1 warning emitted","code":null,"level":"warning","spans":[],"rendered":""}
{"message":"For more information about this error, try `rustc --explain E0596`.","code":null,"level":"failure-note","spans":[],"rendered":""}
"#;
        let messages = messages(said).unwrap();
        let levels: Vec<_> = messages.iter().map(|message| message.level).collect();
        use Level::{Error, Other, Warning};
        assert_eq!(levels, [Error, Warning, Other, Other, Other]);
        let expected = Place {
            file: "ui-tests/a/b.rs",
            line: 7,
        };
        assert_eq!(messages[0].place(), Some(expected));
        assert_eq!(
            messages[0].short(),
            "error[E0596]: cannot borrow (ui-tests/a/b.rs:7)"
        );
    }

    #[test]
    fn words_of_a_compiler_that_broke_are_no_messages() {
        assert!(messages("thread 'rustc' panicked at ...\n").is_err());
        assert!(messages("").unwrap().is_empty());
    }
}
