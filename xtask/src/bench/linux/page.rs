//! How the results are shown.

use super::rows::{Pass, NOTHING};
use super::COLUMNS;
use comfy_table::{presets, ContentArrangement, Table};

/// All rows of all passes, for a terminal.
pub fn table(passes: &[Pass]) -> String {
    let mut text = String::new();
    for pass in passes {
        let mut table = Table::new();
        table
            .load_style(presets::NOTHING)
            .set_content_arrangement(ContentArrangement::Disabled)
            .set_header(["row", "c", "rust", "devscope"]);
        for row in &pass.order {
            let cells = COLUMNS.map(|column| match pass.net(column, row) {
                Some(net) if row != NOTHING => {
                    let exact = if pass.is_exact(column, row) { "" } else { "~" };
                    format!("{exact}{net}")
                }
                _ => others(pass, column, row),
            });
            let [c, rust, devscope] = cells;
            table.add_row([row.clone(), c, rust, devscope]);
        }
        text += &format!("\n{}:\n{}\n", pass.accelerator, table.trim_fmt());
    }
    text
}

/// What a row says that is not measured by rounds.
fn others(pass: &Pass, column: &str, row: &str) -> String {
    let mut words = Vec::new();
    for ((of, name, registrations), numbers) in &pass.rows {
        if of == column && name == row {
            let numbers: Vec<_> = numbers
                .iter()
                .filter(|(what, _)| *what != "registrations")
                .map(|(what, value)| format!("{what} {value}"))
                .collect();
            words.push(format!("{registrations}: {}", numbers.join(", ")));
        }
    }
    words.join("\n")
}
