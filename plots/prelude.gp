# prelude.gp: what every plot shares: terminal, fonts, colours (Okabe and Ito's palette, safe for colour-blind readers, with brown and
# grey in place of yellow), line styles that differ in colour, dash and mark, the grid of panels, and the legend in a cell of its own, outside the data.
# Comes in with: panels, panel_title[], panel_data[], series, series_title[], xtic_count, xtic_text[], title_text, caption_text, out, format.

columns = panels < 3 ? panels : (panels <= 4 ? 2 : 3)
rows = (panels + columns - 1) / columns
longest = 0
do for [i = 1:series] { if (strlen(series_title[i]) > longest) { longest = strlen(series_title[i]) } }
legend_width = 90 + 8 * longest < 230 ? 230 : 90 + 8 * longest
header = 68.0 # title and caption
longest_tic = 0
do for [i = 1:xtic_count] { if (strlen(xtic_text[i]) > longest_tic) { longest_tic = strlen(xtic_text[i]) } }
foot = longest_tic <= 14 ? 85.0 : 85.0 + 4.2 * (longest_tic - 14) # below the axis: its title, or texts that are turned by 30 degrees
panel_width = panels == 1 ? 760 : 560
panel_height = (panels == 1 ? 455 : 345) + foot
total_width = columns * panel_width + legend_width
total_height = rows * panel_height + header

if (format eq "svg") {
    set terminal svg size total_width, total_height font "DejaVu Sans,14" background "white" enhanced
} else {
    set terminal pngcairo size total_width, total_height font "DejaVu Sans,12" background "white" enhanced
}
set output out
set encoding utf8
set datafile missing "NaN"

colours = 9
array colour[colours]
colour[1] = "#0072B2"; colour[2] = "#D55E00"; colour[3] = "#009E73"; colour[4] = "#CC79A7"; colour[5] = "#E69F00"
colour[6] = "#56B4E9"; colour[7] = "#000000"; colour[8] = "#7A4B00"; colour[9] = "#C4C4C4"
colour_of(s) = colour[1 + (s - 1) % colours]
solid_of(s) = s > colours ? 0.45 : 0.9
do for [i = 1:48] {
    dash = 1 + int((i - 1) / colours) % 4 # dashtype takes a number, and reads parentheses as a pattern
    mark = 1 + (i - 1) % 13
    set style line i linecolor rgb colour_of(i) linewidth 2 dashtype dash pointtype mark pointsize 1.1
}
set style fill solid 0.9 noborder
set border 3 linecolor rgb "#666666"
set tics nomirror textcolor rgb "#222222"
set grid ytics linecolor rgb "#dddddd" linewidth 1
unset key

# Screen positions of panel p (from 1), row by row from the top.
column_of(p) = (p - 1) % columns
row_of(p) = int((p - 1) / columns)
left_of(p) = (column_of(p) * panel_width + 85.0) / total_width
right_of(p) = ((column_of(p) + 1) * panel_width - 20.0) / total_width
top_of(p) = 1 - (header + row_of(p) * panel_height + 30.0) / total_height
bottom_of(p) = 1 - (header + (row_of(p) + 1) * panel_height - foot) / total_height

# load with `panel = p` set: margins and title of the panel about to be drawn
frame = "set lmargin at screen left_of(panel); set rmargin at screen right_of(panel); set tmargin at screen top_of(panel); set bmargin at screen bottom_of(panel); set title panel_title[panel] font ',11' offset 0,-0.4"
# the legend, drawn last: `legend_with` says how the keys look
begin = "set multiplot; set label 1 title_text at screen 0.5, screen 1.0 - 22.0 / total_height center font ',16'; set label 2 caption_text at screen 0.5, screen 1.0 - 48.0 / total_height center font ',11' textcolor rgb '#444444'"
legend = "unset label 1; unset label 2; set lmargin at screen 1 - (legend_width - 10.0) / total_width; set rmargin at screen 0.999; set tmargin at screen 1 - (header + 20.0) / total_height; set bmargin at screen 0.02; unset title; unset xlabel; unset ylabel; unset tics; unset border; unset grid; unset logscale; set key left top reverse Left samplen 2 spacing 1.25; set xrange [0:1]; set yrange [0:1]"

# Room above the data for the largest value, and a range that never collapses.
padded(low, high) = high > low ? 0.06 * (high - low) : (high == 0 ? 1 : 0.1 * abs(high))
