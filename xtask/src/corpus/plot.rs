//! The picture: for each pattern a bar, and in it a piece for each verdict, as long as there are bugs.

use super::entries::{Bug, Verdict};
use super::page::Facts;
use anyhow::{anyhow, Result};
use plotters::backend::SVGBackend;
use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, IntoDrawingArea};
use plotters::element::{Rectangle, Text};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontStyle, IntoFont, RGBColor, TextStyle, WHITE};

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

const WIDTH: i32 = 860;
/// Where the bars begin: the names stand before them.
const LEFT: i32 = 210;
/// Where the longest bar may end: a total stands behind it.
const RIGHT: i32 = 810;
const TOP: i32 = 56;
const ROW: i32 = 30;
const BAR: i32 = 20;

const INK: RGBColor = RGBColor(0x22, 0x22, 0x22);

/// Okabe and Ito's colours, which people tell apart however they see colours; and, from the first to the
/// last, ever lighter or greyer, for paper. The second is what is written on them.
fn colours(verdict: Verdict) -> (RGBColor, RGBColor) {
    match verdict {
        Verdict::Rejected => (RGBColor(0x00, 0x72, 0xb2), WHITE),
        Verdict::Impossible => (RGBColor(0x56, 0xb4, 0xe9), INK),
        Verdict::Refused => (RGBColor(0xf0, 0xc0, 0x42), INK),
        Verdict::Uncovered => (RGBColor(0xd9, 0xd9, 0xd9), INK),
    }
}

/// The picture as SVG.
pub fn svg(facts: &Facts<'_>) -> Result<String> {
    let mut text = String::new();
    let rows = facts.patterns().len() as i32;
    let size = (WIDTH as u32, (TOP + ROW * rows + 12) as u32);
    let area = SVGBackend::with_string(&mut text, size).into_drawing_area();
    // The pages around it may be dark.
    failed(area.fill(&WHITE))?;
    legend(&area, facts)?;
    bars(&area, facts)?;
    failed(area.present())?;
    drop(area);
    // For those who hear it; the backend has no such thing.
    let title = "<title>What becomes of the bugs of each pattern</title>";
    Ok(text.replacen(">\n", &format!(">\n{title}\n"), 1))
}

/// Drawing fails in no way that can be helped; the error's type is long.
fn failed<E: std::fmt::Display>(result: std::result::Result<(), E>) -> Result<()> {
    result.map_err(|error| anyhow!("cannot draw the picture: {error}"))
}

fn style(size: i32, colour: RGBColor, at: HPos, bold: bool) -> TextStyle<'static> {
    let style = if bold {
        FontStyle::Bold
    } else {
        FontStyle::Normal
    };
    let font = ("sans-serif", size, style).into_font();
    TextStyle {
        font,
        color: colour.to_backend_color(),
        pos: Pos::new(at, VPos::Center),
    }
}

fn write(area: &Area<'_>, text: String, at: (i32, i32), style: TextStyle<'static>) -> Result<()> {
    failed(area.draw(&Text::new(text, at, style)))
}

fn piece(area: &Area<'_>, from: (i32, i32), to: (i32, i32), verdict: Verdict) -> Result<()> {
    let (fill, _) = colours(verdict);
    failed(area.draw(&Rectangle::new([from, to], fill.filled())))?;
    // A thin line keeps neighbours apart, and grey from white.
    failed(area.draw(&Rectangle::new([from, to], INK.stroke_width(1))))
}

fn legend(area: &Area<'_>, facts: &Facts<'_>) -> Result<()> {
    let mut left = LEFT;
    for verdict in Verdict::ALL {
        let count = facts.count(|bug| bug.verdict() == verdict);
        piece(area, (left, 16), (left + 16, 32), verdict)?;
        let text = format!("{} {count}", verdict.name());
        write(
            area,
            text,
            (left + 23, 24),
            style(16, INK, HPos::Left, false),
        )?;
        left += 150;
    }
    Ok(())
}

fn bars(area: &Area<'_>, facts: &Facts<'_>) -> Result<()> {
    let patterns = facts.patterns();
    let all = |pattern| facts.count(move |bug: &Bug| bug.pattern == pattern);
    let longest = patterns.iter().map(|pattern| all(*pattern)).max();
    let longest = longest.unwrap_or(1).max(1) as i32;
    for (at, pattern) in patterns.into_iter().enumerate() {
        let top = TOP + ROW * at as i32;
        let middle = top + BAR / 2;
        let name = style(16, INK, HPos::Right, false);
        write(area, pattern.name().to_owned(), (LEFT - 10, middle), name)?;
        let mut before = 0;
        let x = |count: i32| LEFT + (RIGHT - LEFT) * count / longest;
        for verdict in Verdict::ALL {
            let count = facts.count(|bug| bug.pattern == pattern && bug.verdict() == verdict);
            let count = count as i32;
            if count == 0 {
                continue;
            }
            let (from, to) = (x(before), x(before + count));
            piece(area, (from, top), (to, top + BAR), verdict)?;
            let (_, ink) = colours(verdict);
            let centre = ((from + to) / 2, middle);
            write(
                area,
                count.to_string(),
                centre,
                style(14, ink, HPos::Center, false),
            )?;
            before += count;
        }
        let total = style(16, INK, HPos::Left, true);
        write(area, before.to_string(), (x(before) + 8, middle), total)?;
    }
    Ok(())
}
