//! The same as pictures: SVG, no fonts, no bitmaps.

use std::fmt::Display;
use std::path::Path;

use plotters::prelude::*;
use plotters::style::RGBColor as Colour;
use quorate_sim::crowd::{Scenario, Stall};

use crate::group::Group;
use crate::job::{Outcome, Subject, Topic};
use crate::rows::kinds;

/// Draws what there is to draw; the names of the files.
pub(crate) fn draw(folder: &Path, outcomes: &[Outcome]) -> Result<Vec<String>, String> {
    let mut files = Vec::new();
    let mut sizes: Vec<u32> = outcomes.iter().map(|outcome| outcome.job.nodes).collect();
    sizes.sort_unstable();
    sizes.dedup();
    for (topic, scenario, nodes) in kinds(outcomes) {
        let (name, title) = match topic {
            Topic::Crash => ("crash", "of the others that know of the crash of one"),
            Topic::MassCrash => ("mass-crash", "of all pairs that know of the crash of a tenth"),
            _ => continue,
        };
        let lines = informed(outcomes, scenario, nodes);
        let file = format!("{name}-{nodes}.svg");
        let title = format!("{nodes} nodes: share {title}, over time");
        let corner = SeriesLabelPosition::LowerRight;
        chart(&folder.join(&file), &title, ["seconds", "%"], corner, &lines)?;
        files.push(file);
    }
    for nodes in sizes {
        let lines = losses(outcomes, nodes);
        if !lines.is_empty() {
            let file = format!("loss-{nodes}.svg");
            let title = format!("{nodes} nodes: bytes sent by a node each second, over loss");
            let corner = SeriesLabelPosition::UpperLeft;
            chart(&folder.join(&file), &title, ["% of packets lost", "bytes"], corner, &lines)?;
            files.push(file);
        }
    }
    if outcomes.iter().any(|outcome| outcome.job.topic == Topic::Stalls) {
        stalls(&folder.join("stalls.svg"), outcomes)?;
        files.push("stalls.svg".to_owned());
    }
    Ok(files)
}

/// A line of a chart.
struct Line {
    name: String,
    colour: Colour,
    points: Vec<(f64, f64)>,
}

const fn name(subject: Subject) -> (&'static str, Colour) {
    match subject {
        Subject::Quorate => ("quorate", QUORATE),
        Subject::Foca => ("foca", FOCA),
    }
}

/// Which share of the pairs had noticed, at each of a few hundred moments.
fn informed(outcomes: &[Outcome], scenario: Scenario, nodes: u32) -> Vec<Line> {
    let mut lines = Vec::new();
    for subject in [Subject::Quorate, Subject::Foca] {
        let group = Group::of(outcomes, 0.0, (subject, scenario, nodes));
        if group.is_empty() {
            continue;
        }
        let (name, colour) = name(subject);
        let mut add = |what: &str, colour, times: Vec<f64>| {
            let share = |place: usize| (place + 1) as f64 * 100.0 / group.pairs() as f64;
            let step = (times.len() / POINTS).max(1);
            let all = times.iter().enumerate();
            let some = all.filter(|(place, _)| place % step == 0 || *place + 1 == times.len());
            let points = some.map(|(place, time)| (*time, share(place)));
            let points = std::iter::once((0.0, 0.0)).chain(points).collect();
            lines.push(Line { name: format!("{name}: {what}"), colour, points });
        };
        // Only quorate tells of the two apart.
        if subject == Subject::Quorate {
            add("unreachable", UNREACHABLE, group.pooled(|figures| &figures.unreachable));
        }
        add("dead", colour, group.pooled(|figures| &figures.dead));
    }
    lines
}

fn losses(outcomes: &[Outcome], nodes: u32) -> Vec<Line> {
    let kinds = kinds(outcomes);
    let line = |subject: Subject| {
        let (name, colour) = name(subject);
        let of_size = kinds.iter().filter(|(_, _, size)| *size == nodes);
        let point = |scenario: Scenario| {
            let percent = match scenario {
                Scenario::Quiet(_) => 0,
                Scenario::Loss(percent, _) => percent,
                _ => return None,
            };
            let group = Group::of(outcomes, 0.0, (subject, scenario, nodes));
            let bytes = || group.per_node_second(|tally| tally.bytes);
            (!group.is_empty()).then(|| (f64::from(percent), bytes()))
        };
        let mut points: Vec<_> = of_size.filter_map(|(_, scenario, _)| point(*scenario)).collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        (points.len() > 1).then(|| Line { name: name.to_owned(), colour, points })
    };
    [Subject::Quorate, Subject::Foca].into_iter().filter_map(line).collect()
}

fn chart(
    file: &Path,
    title: &str,
    axes: [&str; 2],
    corner: SeriesLabelPosition,
    lines: &[Line],
) -> Result<(), String> {
    let most = |which: fn(&(f64, f64)) -> f64| {
        let all = lines.iter().flat_map(|line| line.points.iter().map(which));
        all.fold(0.0, f64::max).max(1.0) * 1.02
    };
    let (right, top) = (most(|point| point.0), most(|point| point.1));
    let area = SVGBackend::new(file, (760, 420)).into_drawing_area();
    area.fill(&WHITE).map_err(told)?;
    let mut chart = ChartBuilder::on(&area)
        .caption(title, ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(56)
        .build_cartesian_2d(0.0..right, 0.0..top)
        .map_err(told)?;
    chart
        .configure_mesh()
        .x_desc(axes[0])
        .y_desc(axes[1])
        .x_label_formatter(&|x| format!("{x:.0}"))
        .y_label_formatter(&|y| format!("{y:.0}"))
        .light_line_style(TRANSPARENT)
        .draw()
        .map_err(told)?;
    for line in lines {
        let style = line.colour.stroke_width(2);
        let series = LineSeries::new(line.points.iter().copied(), style);
        chart
            .draw_series(series)
            .map_err(told)?
            .label(&line.name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style));
    }
    chart
        .configure_series_labels()
        .position(corner)
        .background_style(WHITE.mix(0.9))
        .border_style(BLACK.mix(0.3))
        .draw()
        .map_err(told)?;
    area.present().map_err(told)
}

/// A field of cells for each subject: how many nodes stall, for how long, and what was said of the
/// others meanwhile.
fn stalls(file: &Path, outcomes: &[Outcome]) -> Result<(), String> {
    let cells: Vec<_> =
        kinds(outcomes).into_iter().filter(|(topic, _, _)| *topic == Topic::Stalls).collect();
    let (mut counts, mut times) = (Vec::new(), Vec::new());
    for (_, scenario, _) in &cells {
        if let Scenario::Stalls(count, time, _) = scenario {
            counts.push(*count);
            times.push(*time);
        }
    }
    counts.sort_unstable();
    counts.dedup();
    times.sort_unstable();
    times.dedup();
    let area = SVGBackend::new(file, (860, 360)).into_drawing_area();
    area.fill(&WHITE).map_err(told)?;
    let text = |x: i32, y: i32, size: u32, words: String| {
        area.draw(&Text::new(words, (x, y), ("sans-serif", size))).map_err(told)
    };
    text(
        20,
        12,
        18,
        "Of 128 nodes 1 to 32 are blocked, again and again: deaths of healthy ones declared"
            .to_owned(),
    )?;
    for (panel, subject) in [Subject::Quorate, Subject::Foca].into_iter().enumerate() {
        let left = 110 + panel as i32 * 420;
        text(left, 44, 16, name(subject).0.to_owned())?;
        for (row, time) in times.iter().enumerate() {
            let y = 70 + row as i32 * 56;
            text(left - 90, y + 18, 13, format!("for {:.1} s", time.as_secs_f64()))?;
            for (column, count) in counts.iter().enumerate() {
                let x = left + column as i32 * 60;
                let scenario = Scenario::Stalls(*count, *time, Stall::Blocked);
                let group = Group::of(outcomes, 0.0, (subject, scenario, 128));
                let deaths = (!group.is_empty()).then(|| group.mean(|tally| tally.healthy_deaths));
                // The deeper, the more: by powers of ten.
                let depth = deaths.map_or(0.0, |deaths| (deaths + 1.0).log10() / 4.5).min(1.0);
                let fill = FOCA.mix(depth).filled();
                area.draw(&Rectangle::new([(x, y), (x + 56, y + 52)], fill)).map_err(told)?;
                let edge = BLACK.mix(0.3).stroke_width(1);
                area.draw(&Rectangle::new([(x, y), (x + 56, y + 52)], edge)).map_err(told)?;
                let words = deaths.map_or_else(String::new, |deaths| format!("{deaths:.0}"));
                text(x + 6, y + 18, 13, words)?;
                if row + 1 == times.len() {
                    text(x + 6, y + 58, 13, count.to_string())?;
                }
            }
        }
    }
    area.present().map_err(told)
}

fn told(error: impl Display) -> String {
    format!("a plot cannot be drawn: {error}")
}

const QUORATE: Colour = Colour(0x0b, 0x5f, 0xa5);
const UNREACHABLE: Colour = Colour(0x6f, 0xb1, 0xe8);
const FOCA: Colour = Colour(0xc2, 0x4d, 0x2c);

/// How many points a line has at most, about.
const POINTS: usize = 300;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::job::Effort;

    #[test]
    fn whatever_was_measured_is_drawn() {
        let mut jobs = Vec::new();
        for subject in [Subject::Quorate, Subject::Foca] {
            for topic in [Topic::Crash, Topic::Quiet, Topic::Loss] {
                jobs.extend(Effort { seeds: 1, node_hours: 0.1 }.jobs(subject, topic, 8));
            }
        }
        let is_short = |scenario: &Scenario| match scenario {
            Scenario::Loss(_, time) | Scenario::Quiet(time) => *time <= Duration::from_secs(60),
            _ => true,
        };
        let jobs = jobs.into_iter().filter(|job| is_short(&job.scenario));
        let outcomes: Vec<Outcome> = jobs.map(|job| job.run().unwrap()).collect();
        let folder = tempfile::tempdir().unwrap();
        let files = draw(folder.path(), &outcomes).unwrap();
        assert_eq!(files, ["crash-8.svg", "loss-8.svg"]);
        for file in files {
            let text = std::fs::read_to_string(folder.path().join(file)).unwrap();
            assert!(text.starts_with("<svg") && text.trim_end().ends_with("</svg>"));
            assert!(text.contains("quorate") && text.contains("foca"), "both have a line");
        }
    }
}
