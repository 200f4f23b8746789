//! The pictures: bars for what is counted, lines for what grows with the number of registrations.

use anyhow::{anyhow, Result};
use plotters::backend::SVGBackend;
use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, IntoDrawingArea};
use plotters::element::{Circle, PathElement, Rectangle, Text};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, IntoFont, RGBColor, TextStyle, WHITE};

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

const WIDTH: i32 = 860;
const INK: RGBColor = RGBColor(0x22, 0x22, 0x22);
const GRID: RGBColor = RGBColor(0xd9, 0xd9, 0xd9);
/// Okabe and Ito's, which people tell apart however they see colours.
const COLOURS: [RGBColor; 5] = [
    RGBColor(0x99, 0x99, 0x99),
    RGBColor(0xe6, 0x9f, 0x00),
    RGBColor(0x00, 0x72, 0xb2),
    RGBColor(0xd5, 0x5e, 0x00),
    RGBColor(0x56, 0xb4, 0xe9),
];

/// A row of bars: its name, and a value for each column that has one.
pub struct Bars {
    pub name: String,
    pub values: Vec<Option<u64>>,
}

/// Rows of bars, each row with a bar for each of `columns`.
pub fn bars(title: &str, columns: &[&str], rows: &[Bars]) -> Result<String> {
    const LEFT: i32 = 230;
    const RIGHT: i32 = 790;
    const TOP: i32 = 50;
    const BAR: i32 = 13;
    let each = BAR * columns.len() as i32 + 12;
    let height = TOP + each * rows.len() as i32 + 8;
    let longest = rows.iter().flat_map(|row| &row.values).flatten().max();
    let longest = longest.copied().unwrap_or(1).max(1) as i64;
    draw(title, height, |area| {
        legend(area, columns)?;
        for (at, row) in rows.iter().enumerate() {
            let top = TOP + each * at as i32;
            let middle = top + BAR * columns.len() as i32 / 2;
            write(area, &row.name, (LEFT - 10, middle), HPos::Right)?;
            for (index, value) in row.values.iter().enumerate() {
                let top = top + BAR * index as i32;
                let Some(value) = value else { continue };
                let right = LEFT + (i64::from(RIGHT - LEFT) * *value as i64 / longest) as i32;
                let shape = [(LEFT, top), (right.max(LEFT + 1), top + BAR - 2)];
                failed(area.draw(&Rectangle::new(shape, COLOURS[index].filled())))?;
                let at = (right + 6, top + BAR / 2);
                write(area, &value.to_string(), at, HPos::Left)?;
            }
        }
        Ok(())
    })
}

/// A line: its name, and points of (registrations, time).
pub struct Line {
    pub name: String,
    pub points: Vec<(u64, u64)>,
}

/// Lines over the number of registrations, with powers of ten from bottom to top, in `unit`s.
pub fn lines(title: &str, unit: &str, lines: &[Line]) -> Result<String> {
    const LEFT: i32 = 90;
    const RIGHT: i32 = 820;
    const TOP: i32 = 70;
    const BOTTOM: i32 = 400;
    let all = || lines.iter().flat_map(|line| &line.points);
    let least = all().map(|point| point.1.max(1)).min().unwrap_or(1);
    let most = all().map(|point| point.1.max(1)).max().unwrap_or(10);
    let (low, high) = (least.ilog10(), most.ilog10() + 1);
    let mut places: Vec<u64> = all().map(|point| point.0).collect();
    places.sort_unstable();
    places.dedup();
    let x = |registrations: u64| {
        let place = places.iter().position(|at| *at == registrations);
        let steps = (places.len() as i32 - 1).max(1);
        LEFT + 20 + (RIGHT - LEFT - 40) * place.unwrap_or(0) as i32 / steps
    };
    let y = |value: u64| {
        let above = (value.max(1) as f64).log10() - f64::from(low);
        BOTTOM - (f64::from(BOTTOM - TOP) * above / f64::from(high - low)) as i32
    };
    let names: Vec<_> = lines.iter().map(|line| line.name.as_str()).collect();
    draw(title, BOTTOM + 50, |area| {
        legend(area, &names)?;
        for power in low..=high {
            let at = y(10u64.pow(power));
            let rule = vec![(LEFT, at), (RIGHT, at)];
            failed(area.draw(&PathElement::new(rule, GRID.stroke_width(1))))?;
            let text = format!("{} {unit}", 10u64.pow(power));
            write(area, &text, (LEFT - 6, at), HPos::Right)?;
        }
        for place in &places {
            write(
                area,
                &place.to_string(),
                (x(*place), BOTTOM + 16),
                HPos::Center,
            )?;
        }
        let middle = ((LEFT + RIGHT) / 2, BOTTOM + 36);
        write(area, "registrations", middle, HPos::Center)?;
        for (line, colour) in lines.iter().zip(COLOURS) {
            let points: Vec<_> = line.points.iter().map(|at| (x(at.0), y(at.1))).collect();
            for point in &points {
                failed(area.draw(&Circle::new(*point, 4, colour.filled())))?;
            }
            failed(area.draw(&PathElement::new(points, colour.stroke_width(2))))?;
        }
        Ok(())
    })
}

fn draw(title: &str, height: i32, what: impl FnOnce(&Area<'_>) -> Result<()>) -> Result<String> {
    let mut text = String::new();
    let area =
        SVGBackend::with_string(&mut text, (WIDTH as u32, height as u32)).into_drawing_area();
    // The pages around it may be dark.
    failed(area.fill(&WHITE))?;
    what(&area)?;
    failed(area.present())?;
    drop(area);
    // For those who hear it; the backend has no such thing.
    Ok(text.replacen(">\n", &format!(">\n<title>{title}</title>\n"), 1))
}

fn legend(area: &Area<'_>, names: &[&str]) -> Result<()> {
    let each = (WIDTH - 40) / names.len().max(1) as i32;
    for (index, (name, colour)) in names.iter().zip(COLOURS).enumerate() {
        let left = 20 + each * index as i32;
        let shape = [(left, 14), (left + 14, 28)];
        failed(area.draw(&Rectangle::new(shape, colour.filled())))?;
        write(area, name, (left + 20, 21), HPos::Left)?;
    }
    Ok(())
}

fn write(area: &Area<'_>, text: &str, at: (i32, i32), from: HPos) -> Result<()> {
    let style = TextStyle {
        font: ("sans-serif", 13).into_font(),
        color: INK.to_backend_color(),
        pos: Pos::new(from, VPos::Center),
    };
    failed(area.draw(&Text::new(text.to_owned(), at, style)))
}

/// Drawing fails in no way that can be helped; the error's type is long.
fn failed<E: std::fmt::Display>(result: std::result::Result<(), E>) -> Result<()> {
    result.map_err(|error| anyhow!("cannot draw the picture: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_is_in_the_picture() {
        let rows = [Bars {
            name: "work".into(),
            values: vec![Some(16), None, Some(31)],
        }];
        let svg = bars("work", &["C", "Rust", "devscope"], &rows).unwrap();
        for part in ["<title>work</title>", "16", "31", "devscope"] {
            assert!(svg.contains(part), "{svg}");
        }
    }

    #[test]
    fn lines_go_from_the_first_point_to_the_last() {
        let line = Line {
            name: "devm".into(),
            points: vec![(0, 5), (64, 5000)],
        };
        let svg = lines("unbind", "us", &[line]).unwrap();
        assert!(
            svg.contains("<polyline") && svg.contains("10000 us"),
            "{svg}"
        );
    }
}
