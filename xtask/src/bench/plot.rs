//! The pictures: bars for what is counted, lines for what grows, dots for what is spread.

use anyhow::{anyhow, bail, Result};
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
const COLOURS: [RGBColor; 6] = [
    RGBColor(0x99, 0x99, 0x99),
    RGBColor(0xe6, 0x9f, 0x00),
    RGBColor(0x00, 0x72, 0xb2),
    RGBColor(0xd5, 0x5e, 0x00),
    RGBColor(0x56, 0xb4, 0xe9),
    RGBColor(0x00, 0x9e, 0x73),
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

/// A line: its name, and points of (how many, how much).
pub struct Line {
    pub name: String,
    pub points: Vec<(u64, f64)>,
}

/// What is said at the axes of lines.
pub struct Axes {
    /// How many of what.
    pub below: &'static str,
    /// Behind each number at the left.
    pub unit: &'static str,
    /// The numbers at the left are this one's powers.
    pub base: u32,
}

/// Lines over how many there are, with powers of a number from bottom to top.
pub fn lines(title: &str, axes: &Axes, lines: &[Line]) -> Result<String> {
    const LEFT: i32 = 90;
    const RIGHT: i32 = 820;
    const TOP: i32 = 70;
    const BOTTOM: i32 = 400;
    let base = f64::from(axes.base);
    let all = || lines.iter().flat_map(|line| &line.points);
    let logs = || all().map(|point| point.1.log(base));
    let low = logs().fold(f64::INFINITY, f64::min).floor();
    let high = logs().fold(low + 1.0, f64::max).ceil();
    let mut places: Vec<u64> = all().map(|point| point.0).collect();
    places.sort_unstable();
    places.dedup();
    let x = |many: u64| {
        let place = places.iter().position(|at| *at == many);
        let steps = (places.len() as i32 - 1).max(1);
        LEFT + 20 + (RIGHT - LEFT - 40) * place.unwrap_or(0) as i32 / steps
    };
    let y = |value: f64| {
        let above = (value.log(base) - low) / (high - low);
        BOTTOM - (f64::from(BOTTOM - TOP) * above) as i32
    };
    let names: Vec<_> = lines.iter().map(|line| line.name.as_str()).collect();
    draw(title, BOTTOM + 50, |area| {
        legend(area, &names)?;
        for power in low as i32..=high as i32 {
            let value = base.powi(power);
            let at = y(value);
            let rule = vec![(LEFT, at), (RIGHT, at)];
            failed(area.draw(&PathElement::new(rule, GRID.stroke_width(1))))?;
            let text = format!("{value}{}", axes.unit);
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
        write(area, axes.below, middle, HPos::Center)?;
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

/// Where most of something lies: from a low value over the middle to a high one.
#[derive(Clone, Copy)]
pub struct Spread {
    pub low: f64,
    pub middle: f64,
    pub high: f64,
}

/// A row of spreads: its name, and one for each column.
pub struct Spreads {
    pub name: String,
    pub values: Vec<Spread>,
}

/// Rows of dots with a line from low to high, over powers of ten from 1 on, of what `below` says.
pub fn spreads(title: &str, columns: &[&str], below: &str, rows: &[Spreads]) -> Result<String> {
    const LEFT: i32 = 230;
    const RIGHT: i32 = 830;
    const TOP: i32 = 50;
    const DOT: i32 = 8;
    let each = DOT * columns.len() as i32 + 6;
    let bottom = TOP + each * rows.len() as i32;
    let all = rows.iter().flat_map(|row| &row.values);
    let most = all.map(|spread| spread.high).fold(10.0, f64::max);
    let high = most.log10().ceil();
    let x = |value: f64| LEFT + (f64::from(RIGHT - LEFT) * value.max(1.0).log10() / high) as i32;
    draw(title, bottom + 50, |area| {
        legend(area, columns)?;
        for power in 0..=high as i32 {
            let at = x(10f64.powi(power));
            let rule = vec![(at, TOP - 6), (at, bottom)];
            failed(area.draw(&PathElement::new(rule, GRID.stroke_width(1))))?;
            let text = 10u64.pow(power as u32).to_string();
            write(area, &text, (at, bottom + 14), HPos::Center)?;
        }
        write(area, below, ((LEFT + RIGHT) / 2, bottom + 34), HPos::Center)?;
        for (at, row) in rows.iter().enumerate() {
            let top = TOP + each * at as i32;
            let middle = top + each / 2 - 3;
            write(area, &row.name, (LEFT - 12, middle), HPos::Right)?;
            for (index, spread) in row.values.iter().enumerate() {
                let (at, colour) = (top + DOT * index as i32 + DOT / 2, COLOURS[index]);
                let line = vec![(x(spread.low), at), (x(spread.high), at)];
                failed(area.draw(&PathElement::new(line, colour.stroke_width(1))))?;
                let dot = Circle::new((x(spread.middle), at), 4, colour.filled());
                failed(area.draw(&dot))?;
            }
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

/// In one row; or in two, if there are many.
fn legend(area: &Area<'_>, names: &[&str]) -> Result<()> {
    if names.len() > COLOURS.len() {
        bail!(
            "a picture of {} things, and there are {} colours",
            names.len(),
            COLOURS.len()
        );
    }
    let in_a_row = if names.len() > 4 {
        3
    } else {
        names.len().max(1)
    };
    let each = (WIDTH - 40) / in_a_row as i32;
    for (index, (name, colour)) in names.iter().zip(COLOURS).enumerate() {
        let left = 20 + each * (index % in_a_row) as i32;
        let top = 14 + 20 * (index / in_a_row) as i32;
        let shape = [(left, top), (left + 14, top + 14)];
        failed(area.draw(&Rectangle::new(shape, colour.filled())))?;
        write(area, name, (left + 20, top + 7), HPos::Left)?;
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
    fn each_line_is_drawn_or_there_is_no_picture() {
        let picture = |how_many: usize| {
            let axes = Axes {
                below: "things",
                unit: "",
                base: 10,
            };
            let line = |at: usize| Line {
                name: format!("line {at}"),
                points: vec![(1, 1.0), (8, 2.0)],
            };
            lines(
                "a picture",
                &axes,
                &(0..how_many).map(line).collect::<Vec<_>>(),
            )
        };
        let six = picture(6).unwrap();
        assert!((0..6).all(|at| six.contains(&format!("line {at}"))));
        assert!(picture(7).is_err());
    }

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
            points: vec![(0, 5.0), (64, 5000.0)],
        };
        let axes = Axes {
            below: "registrations",
            unit: " us",
            base: 10,
        };
        let svg = lines("unbind", &axes, &[line]).unwrap();
        assert!(
            svg.contains("<polyline") && svg.contains("10000 us"),
            "{svg}"
        );
    }

    #[test]
    fn a_spread_has_a_dot_and_a_line() {
        let spread = Spread {
            low: 2.0,
            middle: 7.0,
            high: 150.0,
        };
        let row = Spreads {
            name: "case1".into(),
            values: vec![spread; 2],
        };
        let svg = spreads("found", &["random", "pct"], "schedules", &[row]).unwrap();
        assert_eq!(svg.matches("<circle").count(), 2, "{svg}");
        assert!(svg.contains("1000") && svg.contains("case1"), "{svg}");
    }
}
