// SPDX-License-Identifier: GPL-2.0

//! A story as SVG: light background, colours that colour-blind people and printers keep apart,
//! shapes and words beside the colours, no text over another.

mod lane;
mod paint;
mod place;
mod scale;
#[cfg(test)]
mod tests;

use crate::{
    escape::printable,
    holders::FileId,
    human,
    names::Names,
    story::{File, Role, SignKind, Story},
};
use paint::{colour, Canvas};
use scale::Scale;

pub(crate) const WIDTH: f64 = 1200.0;
/// Names to the left of this.
const LEFT: f64 = 200.0;
const RIGHT: f64 = WIDTH - 24.0;
/// So many lanes fit a picture that is read at a glance.
const LANES: usize = 40;

/// How the picture of a story is made.
pub(crate) struct Picture<'a> {
    pub(crate) names: &'a Names,
    pub(crate) title: Option<&'a str>,
}

impl Picture<'_> {
    /// The whole file.
    pub(crate) fn draw(&self, mut story: Story) -> String {
        let title = self.title.map_or_else(|| self.describe(&story), printable);
        story.fold(LANES);
        let scale = Scale::new(story.from, story.to, LEFT + 6.0, RIGHT - 10.0);
        let mut canvas = Canvas::new();
        canvas.text(16.0, 28.0, 17.0, colour::TEXT, &title).bold();
        let about = format!(
            "time from the first event, which was at {:.6} s of the trace's clock{}",
            story.from as f64 / 1e9,
            match story.lost {
                0 => String::new(),
                n => format!("; {n} events were lost"),
            }
        );
        canvas.text(16.0, 46.0, 11.5, colour::FAINT, &about);
        let top = 58.0 + axis_labels(&mut canvas, &scale, 70.0);
        let mut y = self.marks(&mut canvas, &story, &scale, top);
        let below = canvas.layer();
        for file in story
            .files
            .iter()
            .filter(|f| !f.lanes.is_empty() || !f.ladder.is_empty())
        {
            y = self.file(&mut canvas, file, &scale, y);
        }
        if story.hidden_files > 0 {
            let text = format!(
                "and {} not shown",
                human::count(story.hidden_files, "file", "files")
            );
            canvas
                .text(16.0, y + 16.0, 12.0, colour::FAINT, &text)
                .italic();
            y += 24.0;
        }
        let bottom = y + 4.0;
        grid(&mut canvas, below, &story, &scale, top, bottom);
        axis_labels(&mut canvas, &scale, bottom + 14.0);
        let height = legend(&mut canvas, bottom + 32.0);
        canvas.finish(WIDTH, height, &title)
    }

    /// What one sees, in a line.
    fn describe(&self, story: &Story) -> String {
        let (subject, whose) = match &story.files[..] {
            [only] => (self.file_name(only.id), "its"),
            files => (format!("{} files", files.len()), "their"),
        };
        let mut parts = vec![
            human::count(story.count(Role::Holder), "holder", "holders"),
            human::count(story.count(Role::Breaker), "breaker", "breakers"),
        ];
        for (kind, name) in [
            (SignKind::Sigio, "SIGIO"),
            (SignKind::Sigbus, "SIGBUS"),
            (SignKind::Sigkill, "SIGKILL"),
        ] {
            match story.signs(kind) {
                0 => {}
                1 => parts.push(name.into()),
                n => parts.push(format!("{n} {name}")),
            }
        }
        format!(
            "Who held {subject}, who wanted {whose} blocks: {}",
            parts.join(", ")
        )
    }

    fn file_name(&self, id: FileId) -> String {
        self.names
            .file(id)
            .map_or_else(|| id.to_string(), printable)
    }

    /// Texts from the trace, in as many rows as they need.
    fn marks(&self, canvas: &mut Canvas, story: &Story, scale: &Scale, y: f64) -> f64 {
        let mut rows = place::Rows::new(4, LEFT, RIGHT);
        let mut used = 0;
        for (at, text) in &story.marks {
            let text = printable(text);
            let text = text.strip_prefix("scene: ").unwrap_or(&text);
            let (x, width) = (scale.x(*at), place::width(text, 12.0));
            if let Some(spot) = rows.put(x, 0.0, width, true) {
                used = used.max(spot.row + 1);
                canvas
                    .text(
                        spot.x,
                        y + spot.row as f64 * 16.0 + 12.0,
                        12.0,
                        colour::TEXT,
                        text,
                    )
                    .italic();
            }
        }
        y + used as f64 * 16.0 + if used > 0 { 4.0 } else { 0.0 }
    }

    /// One file with all its lanes; the next one's top.
    fn file(&self, canvas: &mut Canvas, file: &File, scale: &Scale, top: f64) -> f64 {
        let mut y = top + 8.0;
        canvas.rect(8.0, y, WIDTH - 16.0, 22.0, colour::BAND);
        let name = self.file_name(file.id);
        let shown = place::cut(&name, 13.0, WIDTH - 220.0);
        canvas
            .text(16.0, y + 15.5, 13.0, colour::TEXT, &shown)
            .bold()
            .hint(&name);
        // Without a name these are what it is called by.
        if self.names.file(file.id).is_some() {
            let number = format!("device {}, inode {}", file.id.dev, file.id.ino);
            canvas
                .text(RIGHT, y + 15.0, 11.0, colour::FAINT, &number)
                .right();
        }
        y += 22.0;
        let shade_top = y;
        let below = canvas.layer();
        if !file.ladder.is_empty() {
            y = lane::ladder(canvas, file, scale, y);
        }
        for one in &file.lanes {
            let command = self.names.command(one.pid).unwrap_or("process");
            y = lane::draw(canvas, one, &printable(command), scale, y);
            canvas.line(8.0, y, WIDTH - 8.0, y, colour::RULE, 1.0);
        }
        let (holders, breakers) = file.hidden;
        if holders + breakers > 0 {
            let mut what = Vec::new();
            if holders > 0 {
                what.push(human::count(holders, "holder", "holders"));
            }
            if breakers > 0 {
                what.push(human::count(breakers, "breaker", "breakers"));
            }
            let text = format!(
                "and {} to whom less happened, not shown",
                what.join(" and ")
            );
            canvas
                .text(16.0, y + 16.0, 12.0, colour::FAINT, &text)
                .italic();
            y += 24.0;
        }
        let mut shaded = 0.0;
        for &(from, to) in &file.breaks {
            let (x, end) = (scale.x(from), scale.x(to));
            // Of thousands that were over at once a few show the same.
            if end < shaded {
                continue;
            }
            shaded = end.max(x + 1.0) + 0.5;
            canvas.rect_in(
                below,
                x,
                shade_top,
                (end - x).max(1.0),
                y - shade_top,
                colour::SHADE,
            );
        }
        y
    }
}

/// Ticks with their times.
fn axis_labels(canvas: &mut Canvas, scale: &Scale, y: f64) -> f64 {
    for (at, text) in scale.ticks() {
        let x = scale.x(at);
        // The outermost ones stay inside.
        let half = place::width(&text, 11.0) / 2.0;
        canvas
            .text(x.min(WIDTH - 8.0 - half), y, 11.0, colour::FAINT, &text)
            .middle();
    }
    16.0
}

/// Behind everything: a line at each tick and at each text.
fn grid(canvas: &mut Canvas, below: usize, story: &Story, scale: &Scale, top: f64, bottom: f64) {
    for (at, _) in scale.ticks() {
        let x = scale.x(at);
        canvas.line_in(below, (x, top, x, bottom), colour::GRID, 1.0, None);
    }
    for (at, _) in &story.marks {
        let x = scale.x(*at);
        canvas.line_in(below, (x, top, x, bottom), colour::FAINT, 1.0, Some("2 3"));
    }
}

/// What the shapes mean, in rows as wide as the picture; the picture's height.
fn legend(canvas: &mut Canvas, top: f64) -> f64 {
    let (mut x, mut y) = (16.0, top);
    for (entry, text) in lane::LEGEND {
        let wide = 34.0 + place::width(text, 11.5) + 18.0;
        if x + wide > WIDTH - 8.0 {
            (x, y) = (16.0, y + 22.0);
        }
        lane::legend(canvas, entry, x, y);
        canvas.text(x + 34.0, y + 10.5, 11.5, colour::TEXT, text);
        x += wide;
    }
    y + 28.0
}
