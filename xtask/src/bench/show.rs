//! How both halves show tables: on the terminal, and in `docs/performance.md`.
//!
//! The page's words are written by people. What is generated stands between a pair of marks,
//! `<!-- linux:name -->` and `<!-- /linux:name -->` (or `linux-inline:`, or `hosted:`), and the pictures beside it.

use anyhow::{Context, Result};
use comfy_table::{presets, CellAlignment, ContentArrangement, Table};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

pub fn words<const N: usize>(words: [&str; N]) -> Vec<String> {
    words.map(str::to_owned).into()
}

pub fn plain(rows: &[Vec<String>]) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled);
    for row in rows {
        table.add_row(row);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.trim_fmt()
}

pub fn markdown(rows: &[Vec<String>]) -> String {
    let mut text = String::new();
    for (at, row) in rows.iter().enumerate() {
        let _ = writeln!(text, "| {} |", row.join(" | "));
        if at == 0 {
            let _ = writeln!(text, "|---{}|", "|---:".repeat(row.len() - 1));
        }
    }
    text.trim_end().to_owned()
}

/// `text` with `part` between the marks of `name`.
pub fn replaced(text: &str, name: &str, part: &str) -> Result<String> {
    let (begin, end) = (format!("<!-- {name} -->"), format!("<!-- /{name} -->"));
    let found = text.split_once(&begin).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(&end)?;
        Some(format!("{before}{begin}\n\n{part}\n\n{end}{after}"))
    });
    found.with_context(|| format!("docs/performance.md has no {begin} ... {end}"))
}

/// Puts each part between its marks: `<!-- of:name -->`.
pub fn rewrite(page: &Path, of: &str, parts: &[(&str, String)]) -> Result<()> {
    let mut text =
        fs::read_to_string(page).with_context(|| format!("cannot read {}", page.display()))?;
    for (name, part) in parts {
        text = replaced(&text, &format!("{of}:{name}"), part)?;
    }
    Ok(fs::write(page, text)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_between_the_marks_is_replaced_and_nothing_else() {
        let text = "a\n<!-- linux:x -->\nold\n<!-- /linux:x -->\nb\n";
        let new = replaced(text, "linux:x", "new").unwrap();
        assert_eq!(new, "a\n<!-- linux:x -->\n\nnew\n\n<!-- /linux:x -->\nb\n");
        assert_eq!(replaced(&new, "linux:x", "new").unwrap(), new);
        assert!(replaced(text, "linux:y", "new").is_err());
    }
}
