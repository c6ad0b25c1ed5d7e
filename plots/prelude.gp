# prelude.gp: what every plot shares: sizes, line styles, the grid of panels, title, caption, names of the axes, and the legend below the panels, which takes
# none of their width. Comes in with width, font and em (of a character) in points, columns (panels in a row), format, and numbers: panels, series, xtic_count,
# most_points (of a curve), beside (1 = each series has a bar of its own), *_lines (of the longest text of that kind), *_longest (characters of its longest line); and
# of each series series_colour, series_mark, series_dash and series_turn (how many before it have its colour: a bar is paler then); and of each panel panel_texts (the texts of its
# axis, by number) and panel_slots (of each series its place among those of the panel; 0 = it has none). Texts are read from files, so
# that none of them is ever parsed as gnuplot's language; the files' names are fixed. All lengths are points.

set loadpath
set encoding utf8
set datafile commentschars ""
array panel_title[panels]
array panel_data[panels]
array series_title[series]
array xtic_text[xtic_count > 0 ? xtic_count : 1]
array words[5]
stats "panels.txt" using (panel_title[int(column(0)) + 1] = stringcolumn(1), 1) nooutput
stats "series.txt" using (series_title[int(column(0)) + 1] = stringcolumn(1), 1) nooutput
if (xtic_count > 0) { stats "xtics.txt" using (xtic_text[int(column(0)) + 1] = stringcolumn(1), 1) nooutput }
stats "title.txt" using (words[1] = stringcolumn(1), 1) nooutput
stats "caption.txt" using (words[2] = stringcolumn(1), 1) nooutput
stats "x.txt" using (words[3] = stringcolumn(1), 1) nooutput
stats "shared.txt" using (words[5] = stringcolumn(1), 1) nooutput
stats "y.txt" using (words[4] = stringcolumn(1), 1) nooutput
title_text = words[1]; caption_text = words[2]; x_text = words[3]; y_text = words[4]; shared_text = words[5]
do for [p = 1:panels] { panel_data[p] = sprintf("panel%d.dat", p) }
set datafile commentschars
set datafile missing "NaN"

# From the top: title, what all panels share, and caption; rows of panels, each with its title (head), its data and the numbers of its axis (foot); the axis' name; the legend.
larger(a, b) = a > b ? a : b
smaller(a, b) = a < b ? a : b
rows = (panels + columns - 1) / columns
title_font = 1.2 * font
caption_font = 0.9 * font
title_height = 1.35 * title_font * title_lines
caption_height = 1.35 * caption_font * caption_lines
shared_height = 1.35 * font * shared_lines
header = 0.6 * font + title_height + shared_height + caption_height + 0.4 * font
side = y_lines ? (0.5 + 1.35 * y_lines) * font : 0.0 # left of all panels: the name of their vertical axis
left = xtic_count > 0 ? em * xtic_longest + 1.4 * font : 5.6 * font # of numbers of seven characters
right = 2.0 * font # half of a number of six digits
head = (1.1 + 1.3 * panel_lines) * font
foot = 2.0 * font
panel_width = (width - side - 0.3 * font) / columns
slot_of(p, s) = word(panel_slots[p], s) + 0
array panel_bars[panels] # bars side by side at a text
array data_height[panels]
array row_top[rows + 1] # below the header
row_top[1] = 0.0
do for [p = 1:panels] {
    panel_bars[p] = 1
    if (beside) { do for [s = 1:series] { panel_bars[p] = larger(panel_bars[p], slot_of(p, s)) } }
    pitch = larger(1.3 * xtic_lines, 0.9 * panel_bars[p] + 0.6) * font # of the texts of an axis
    data_height[p] = xtic_count > 0 ? pitch * words(panel_texts[p]) + 0.4 * font : smaller(larger(0.72 * (panel_width - left - right), 11 * font), 22 * font)
    row = int((p - 1) / columns) + 1
    row_top[row + 1] = larger((p - 1) % columns ? row_top[row + 1] : 0.0, row_top[row] + head + data_height[p] + foot)
}
key_sample = 3.0 * font
key_width = key_sample + 2.4 * font + em * series_longest # capitals are wider than em
key_columns = larger(1, smaller(series, int((width - font) / key_width)))
key_rows = int((series + key_columns - 1) / key_columns)
key_columns = int((series + key_rows - 1) / key_rows) # as few as that many rows need
key_pitch = (0.15 + 1.3 * series_lines) * font
key_height = key_pitch * key_rows + 0.8 * font
below = (x_lines ? 0.4 + 1.35 * x_lines : 0.0) * font
height = header + row_top[rows + 1] + below + key_height

load "terminal.gp"
title_style = font_of(title_font)
caption_style = font_of(caption_font)

colour_of(s) = series_colour[s]
solid_of(s) = series_turn[s] == 0 ? 0.9 : 0.3 + 0.5 / (1 + series_turn[s])
hatch_of(s) = word("0 4 5 1 2 6 7 4 5 1 2 6 7", 1 + (s - 1) % 13) + 0 # of stacked bars: gnuplot's fill patterns, first in white, then in black
hatch_colour(s) = (s - 1) % 13 < 7 ? 0xffffff : 0x000000
hatch_of_dash(s) = word("0 4 5 1 2", series_dash[s]) + 0 # of bars side by side, which have marks too
mark_colour(s) = series_turn[s] == 0 ? 0xffffff : 0x333333 # on a bar
do for [i = 1:series] {
    dash = series_dash[i] # dashtype takes a number, and reads parentheses as a pattern
    shape = series_mark[i]
    spread = larger(1, int(most_points / 8.0))
    set style line i linecolor rgb colour_of(i) linewidth 1.2 dashtype dash pointtype shape pointsize 0.06 * font pointinterval spread
}
set style fill solid 0.9 noborder
set format "% g" # gnuplot's own writes 0.0000008
set border 3 linecolor rgb "#666666" linewidth 0.6
set tics nomirror textcolor rgb "#222222" scale 0.5
set grid ytics linecolor rgb "#dddddd" linewidth 0.6 dashtype 1
set key noautotitle # a title is what the pointer finds in an SVG
unset key
if (xtic_count > 0) { set grid xtics noytics linecolor rgb "#dddddd" linewidth 0.6 dashtype 1 }

# What is written at a point: x where runs are marked, how many seeds are alive where fewer than before are, * where timings were disturbed.
mark(alive, seeds, counted, crossed, starred) = (crossed > 0 ? "×" : "").(counted > 0 ? sprintf("%d/%d", alive, seeds) : "").(starred > 0 ? "*" : "")

# Screen positions of panel p (from 1), row by row from the top, and places in the legend, column by column, from its lower left.
column_of(p) = (p - 1) % columns
row_of(p) = int((p - 1) / columns)
left_of(p) = (side + column_of(p) * panel_width + left) / width
right_of(p) = (side + (column_of(p) + 1) * panel_width - right) / width
top_of(p) = 1 - (header + row_top[row_of(p) + 1] + head) / height
bottom_of(p) = top_of(p) - data_height[p] / height
key_left = (width - key_width * key_columns) / 2
key_x(s) = key_left + int((s - 1) / key_rows) * key_width + 0.5 * font
key_y(s) = key_height - 0.8 * font - ((s - 1) % key_rows) * key_pitch # of the first line
thick(p) = 0.9 / (panel_bars[p] + 0.6) # of bars side by side, in units of the axis of texts
middle(p, x, s) = x + (slot_of(p, s) - (panel_bars[p] + 1) / 2.0) * thick(p)
is_short(value) = abs(value) < 2 * mark_place
mark_at(value) = value < 0 ? -mark_place : mark_place
past_mark(value, end) = is_short(value) ? larger(end, 2 * mark_place) : end
is_folded(text) = strstrt(text, "\n") > 0
$sample << END
0
0.5
1
END
$middle << END
0.5
END

# The distance of tics from 0 to `most` that leaves room for their numbers: 1, 2 or 5 times a power of ten.
tic_room = (panel_width - left - right) / (7 * em)
tic_unit(x) = 10.0 ** floor(log10(x))
tic_nice(x) = tic_unit(x) * (x <= tic_unit(x) ? 1 : x <= 2 * tic_unit(x) ? 2 : x <= 5 * tic_unit(x) ? 5 : 10)
tic_step(most) = tic_nice(most > 0 ? most / larger(tic_room, 2) : 1)

# The same of a logarithmic axis over `decades`, whose numbers have (characters): the factor from one tic to the next. log_x is the macro that sets it, and the ends of the axis, where
# tics of all decades of column `log_column` (set before `begin`) of the panel have no room; elsewhere gnuplot finds both.
log_step(decades, characters) = 10.0 ** ceil((characters + 1.0) * em * decades / (panel_width - left - right))
log_below(x) = floor(log10(x) - 0.15) # a tenth of a decade and a half beyond the value: what a whisker wants
log_above(x) = ceil(log10(x) + 0.15)
log_column = 1
log_characters = 5
array log_least[panels]
array log_most[panels]
log_wide(p) = log_most[p] > 1e5 ? 7 : log_characters # 1×10^6 and more
log_decades(p) = log_above(log_most[p]) - log_below(log_least[p])
log_x = "set xtics autofreq; set xrange [*:*]; if (log_least[panel] > 0 && log_step(log_decades(panel), log_wide(panel)) > 10) { set xtics log_step(log_decades(panel), log_wide(panel)); set xrange [10.0 ** log_below(log_least[panel]):10.0 ** log_above(log_most[panel])] }"

# Of an axis of powers of two from `least` to `most`: the first tic, and the factor from one to the next that leaves room for the numbers.
octave_first(least) = 2.0 ** ceil(log(least) / log(2) - 1e-9)
octave_room(most) = (panel_width - left - right) / ((strlen(sprintf("%g", most)) + 2) * em)
octave_step(least, most) = 2.0 ** larger(1, ceil(log(most / least) / log(2) / larger(octave_room(most), 1) - 1e-9))

# Macros. `begin` stands before the first panel; `frame` with `panel` set: margins, title and texts of the axis (labels, as what stands in tics is read as a format)
# of the panel about to be drawn; `legend` after the last panel: the picture's title, caption, names of axes and names of series. Behind it stands what draws
# samples beside these names: key_lines, key_points, key_boxes (a box of the series' colour), key_hatched (one with a hatch).
# octaves, before `begin`: fills octave_from and octave_by, so that the x axis of panel p has `set xtics octave_from[p], octave_by[p]`, and ends at its data.
# side_bars draws column 2 of a panel as bars of its series, with hatch and mark, from 0; mark_place is how far from 0 the mark stands,
# in the colour of the series where its bar is too short to hold it; what is written at the end of a bar stands beyond both (past_mark).
octaves = "array octave_from[panels]; array octave_by[panels]; do for [p = 1:panels] { stats panel_data[p] using 1 nooutput; octave_from[p] = octave_first(STATS_min); octave_by[p] = octave_step(STATS_min, STATS_max) }; set xrange [*:*] noextend"
begin = "do for [p = 1:panels] { STATS_records = 0; stats panel_data[p] using log_column nooutput; log_least[p] = STATS_records > 0 ? STATS_min : 0; log_most[p] = STATS_records > 0 ? STATS_max : 0 }; set multiplot; if (xtic_count > 0) { unset ytics }"
frame = "unset label; set lmargin at screen left_of(panel); set rmargin at screen right_of(panel); set tmargin at screen top_of(panel); set bmargin at screen bottom_of(panel); if (panel_lines) { set label 1 panel_title[panel] at screen (side + (column_of(panel) + 0.5) * panel_width) / width, screen top_of(panel) + (0.25 + 1.3 * panel_lines) * font / height center noenhanced }; if (xtic_count > 0) { set yrange [words(panel_texts[panel]) + 0.5:0.5]; do for [i = 1:words(panel_texts[panel])] { axis_text = xtic_text[int(word(panel_texts[panel], i))]; set label i + 1 axis_text at graph 0, first i right offset character -0.6, is_folded(axis_text) ? 0.5 * (xtic_lines - 1) : 0 noenhanced textcolor rgb '#222222' } }"
legend = "unset label; set label 1 title_text at screen 0.5, screen 1 - (0.6 * font + title_height / title_lines / 2) / height center font title_style noenhanced; if (shared_lines) { set label 5 shared_text at screen 0.5, screen 1 - (0.6 * font + title_height + 0.68 * font) / height center noenhanced }; set label 2 caption_text at screen 0.5, screen 1 - (0.6 * font + title_height + shared_height + 0.68 * caption_font) / height center font caption_style textcolor rgb '#444444' noenhanced; if (x_lines) { set label 3 x_text at screen 0.5 + side / 2 / width, screen (key_height + below - 0.68 * font) / height center noenhanced }; if (y_lines) { set label 4 y_text at screen 0.9 * font / width, screen (key_height + below + row_top[rows + 1] / 2) / height center rotate by 90 noenhanced }; do for [s = 1:series] { set label s + 5 series_title[s] at first key_x(s) + key_sample + 0.6 * font, first key_y(s) left noenhanced }; set lmargin at screen 0; set rmargin at screen 1; set tmargin at screen key_height / height; set bmargin at screen 0; unset title; unset xlabel; unset ylabel; unset tics; unset border; unset grid; unset logscale; set xrange [0:width]; set yrange [0:key_height]"
key_lines = "plot for [s = 1:series] $sample using (key_x(s) + key_sample * $1):(key_y(s)) with lines linestyle s title series_title[s] noenhanced, for [s = 1:series] $middle using (key_x(s) + key_sample * $1):(key_y(s)) with points linestyle s title series_title[s] noenhanced"
key_points = "plot for [s = 1:series] $middle using (key_x(s) + key_sample * $1):(key_y(s)) with points linestyle s title series_title[s] noenhanced"
key_box = "$middle using (key_x(s)):(key_y(s)):(key_x(s)):(key_x(s) + key_sample):(key_y(s) - 0.4 * font):(key_y(s) + 0.4 * font) with boxxyerror"
key_boxes = "plot for [s = 1:series] @key_box linecolor rgb colour_of(s) fillstyle solid solid_of(s) title series_title[s] noenhanced, for [s = 1:series] @key_box linecolor rgb mark_colour(s) fillstyle transparent pattern hatch_of_dash(s) title series_title[s] noenhanced, for [s = 1:series] $middle using (key_x(s) + key_sample * $1):(key_y(s)) with points linestyle s linecolor rgb mark_colour(s) title series_title[s] noenhanced"
key_hatched = "plot for [s = 1:series] @key_box linecolor rgb colour_of(s) fillstyle solid 0.9 title series_title[s] noenhanced, for [s = 1:series] @key_box linecolor rgb hatch_colour(s) fillstyle transparent pattern hatch_of(s) title series_title[s] noenhanced"
bar_box = "using (0):(middle(panel, $1, s)):(0):2:(middle(panel, $1, s) - 0.45 * thick(panel)):(middle(panel, $1, s) + 0.45 * thick(panel)) with boxxyerror"
side_bars = "plot for [s = 1:series] panel_data[panel] index s - 1 @bar_box linecolor rgb colour_of(s) fillstyle solid solid_of(s) title series_title[s] noenhanced, for [s = 1:series] panel_data[panel] index s - 1 @bar_box linecolor rgb mark_colour(s) fillstyle transparent pattern hatch_of_dash(s) title series_title[s] noenhanced, for [s = 1:series] panel_data[panel] index s - 1 using (is_short($2) ? NaN : mark_at($2)):(middle(panel, $1, s)) with points linestyle s linecolor rgb mark_colour(s) title series_title[s] noenhanced, for [s = 1:series] panel_data[panel] index s - 1 using (is_short($2) ? mark_at($2) : NaN):(middle(panel, $1, s)) with points linestyle s linecolor rgb colour_of(s) title series_title[s] noenhanced"
