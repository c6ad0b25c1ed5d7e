# prelude.gp: what every plot shares: terminal, fonts, line styles, the grid of panels, and the legend in a cell of its own, outside the data.
# Comes in with numbers: panels, series, xtic_count, panel_lines and caption_lines (lines of the longest text), format (png or svg), and of each series
# series_colour, series_mark and series_turn (how many before it have its colour: it then differs in dash and mark). Texts are read from files, so
# that none of them is ever parsed as gnuplot's language; the files' names are fixed.

set encoding utf8
set loadpath
set datafile commentschars ""
array panel_title[panels]
array panel_data[panels]
array series_title[series]
array xtic_text[xtic_count > 0 ? xtic_count : 1]
array words[3]
stats "panels.txt" using (panel_title[int(column(0)) + 1] = stringcolumn(1), 1) nooutput
stats "series.txt" using (series_title[int(column(0)) + 1] = stringcolumn(1), 1) nooutput
if (xtic_count > 0) { stats "xtics.txt" using (xtic_text[int(column(0)) + 1] = stringcolumn(1), 1) nooutput }
stats "words.txt" using (words[int(column(0)) + 1] = stringcolumn(1), 1) nooutput
title_text = words[1]
caption_text = words[2]
metric_text = words[3]
array first_text[panels] # the texts of the axis that a panel has data for, and those between
array last_text[panels]
most_texts = 0
do for [p = 1:panels] {
    panel_data[p] = sprintf("panel%d.dat", p)
    if (xtic_count > 0) {
        stats panel_data[p] using 1 nooutput
        first_text[p] = STATS_min
        last_text[p] = STATS_max
        if (last_text[p] - first_text[p] + 1 > most_texts) { most_texts = last_text[p] - first_text[p] + 1 }
    }
}
set datafile commentschars

columns = panels < 3 ? panels : (panels <= 4 ? 2 : 3)
rows = (panels + columns - 1) / columns
longest = 0
do for [i = 1:series] { if (strlen(series_title[i]) > longest) { longest = strlen(series_title[i]) } }
header = 52.0 + 16 * caption_lines # title and caption
head = 14.0 + 16 * panel_lines # title of a panel
longest_tic = 0
do for [i = 1:xtic_count] { if (strlen(xtic_text[i]) > longest_tic) { longest_tic = strlen(xtic_text[i]) } }
em = 9.6 # width of a character, in the mean of those of long texts
legend_width = 70 + em * longest < 230 ? 230 : 70 + em * longest
turned = (longest_tic + 1) * em * most_texts <= (panels == 1 ? 655 : 455) ? 0 : (longest_tic <= 20 ? 30 : 60) # degrees: texts of the axis that would overlap
foot = turned ? 45.0 + (turned == 30 ? 0.51 : 0.87) * em * longest_tic : 85.0 # below the axis: its title, or texts that are turned
right = turned && longest_tic > 5 ? (turned == 30 ? 0.87 : 0.51) * em * longest_tic : 20.0 # right of it: where turned texts end
plain_width = (panels == 1 ? 740 : 540) + right
panel_width = plain_width > 85 + right + 30 * most_texts ? plain_width : 85 + right + 30 * most_texts
panel_height = (panels == 1 ? 440 : 330) + head - 15 + foot
total_width = columns * panel_width + legend_width
total_height = rows * panel_height + header > header + 40 + 25 * series ? rows * panel_height + header : header + 40 + 25 * series # the legend is one column

if (format eq "svg") {
    set terminal svg size total_width, total_height font "DejaVu Sans,14" background "white" enhanced
} else {
    set terminal pngcairo size total_width, total_height font "DejaVu Sans,12" background "white" enhanced
}
set output "picture"
set datafile missing "NaN"

colour_of(s) = series_colour[s]
solid_of(s) = series_turn[s] == 0 ? 0.9 : 0.15 + 0.6 / (1 + series_turn[s])
do for [i = 1:series] {
    dash = 1 + series_turn[i] % 4 # dashtype takes a number, and reads parentheses as a pattern
    shape = 1 + (series_mark[i] - 1 + 2 * series_turn[i]) % 13
    set style line i linecolor rgb colour_of(i) linewidth 2 dashtype dash pointtype shape pointsize 1.1
}
set style fill solid 0.9 noborder
set border 3 linecolor rgb "#666666"
set tics nomirror textcolor rgb "#222222"
set grid ytics linecolor rgb "#dddddd" linewidth 1
unset key

# What is written at a point: x where runs are marked, how many seeds are alive where fewer than before are, * where timings were disturbed.
mark(alive, seeds, counted, crossed, starred) = (crossed > 0 ? "×" : "").(counted > 0 ? sprintf("%d/%d", alive, seeds) : "").(starred > 0 ? "*" : "")

# Screen positions of panel p (from 1), row by row from the top.
column_of(p) = (p - 1) % columns
row_of(p) = int((p - 1) / columns)
left_of(p) = (column_of(p) * panel_width + 85.0) / total_width
right_of(p) = ((column_of(p) + 1) * panel_width - right) / total_width
top_of(p) = 1 - (header + row_of(p) * panel_height + head) / total_height
bottom_of(p) = 1 - (header + (row_of(p) + 1) * panel_height - foot) / total_height

# Macros. `begin` stands before the first panel; `frame` with `panel` set: margins, title and texts of the axis (labels, as what stands in xtics is
# read as a format) of the panel about to be drawn; `legend` after the last panel: the picture's title, caption and keys.
begin = "set multiplot; if (xtic_count > 0) { unset xtics }"
frame = "set lmargin at screen left_of(panel); set rmargin at screen right_of(panel); set tmargin at screen top_of(panel); set bmargin at screen bottom_of(panel); set title panel_title[panel] noenhanced font ',11' offset 0,-0.4; if (xtic_count > 0) { unset label; set xrange [first_text[panel] - 0.6:last_text[panel] + 0.6]; do for [i = first_text[panel]:last_text[panel]] { if (turned) { set label i xtic_text[i] at first i, graph 0 left rotate by -turned offset character -0.5, -0.7 noenhanced textcolor rgb '#222222' } else { set label i xtic_text[i] at first i, graph 0 center offset character 0, -1 noenhanced textcolor rgb '#222222' } } }"
legend = "unset label; set label 1 title_text at screen 0.5, screen 1.0 - 22.0 / total_height center font ',16' noenhanced; set label 2 caption_text at screen 0.5, screen 1.0 - 46.0 / total_height center font ',11' textcolor rgb '#444444' noenhanced; set lmargin at screen 1 - (legend_width - 10.0) / total_width; set rmargin at screen 0.999; set tmargin at screen 1 - (header + 20.0) / total_height; set bmargin at screen 0.02; unset title; unset xlabel; unset ylabel; unset tics; unset border; unset grid; unset logscale; set key left top reverse Left samplen 2 spacing 1.25 noenhanced; set xrange [0:1]; set yrange [0:1]"
