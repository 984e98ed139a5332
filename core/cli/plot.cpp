#include "cli/plot.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

namespace weir::cli {
namespace {

constexpr double kWidth = 860, kLeft = 70, kRight = 20, kTop = 46;
constexpr double kChartHeight = 170, kChartGap = 62;

std::string number(double value) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.1f", value);
  std::string shown = text.data();
  return shown.ends_with(".0") ? shown.substr(0, shown.size() - 2) : shown;
}

/// As text of an element: nothing in it is markup, or what XML 1.0 does not allow.
std::string escaped(const std::string& text) {
  std::string safe;
  for (const char c : text) {
    switch (c) {
      case '&':
        safe += "&amp;";
        break;
      case '<':
        safe += "&lt;";
        break;
      case '>':
        safe += "&gt;";
        break;
      default:
        safe += c >= ' ' && c <= '~' ? c : '?';
    }
  }
  return safe;
}

double sound(double value) { return std::isfinite(value) ? std::max(value, 0.0) : 0; }

/// The least of 1, 2, 5, 10, 20, ... that four steps of reach `most`.
double step_for(double most) {
  double step = 0.1;
  for (const double factor : {2.0, 2.5, 2.0}) {
    if (step * 4 >= most) return step;
    step *= factor;
  }
  return std::max(step_for(most / 10) * 10, 0.1);
}

class Drawing {
 public:
  explicit Drawing(const Plot& plot) : plot_(plot) {
    for (const PlotChart& chart : plot.charts) {
      for (const auto& lines : chart.policies) {
        for (const PlotLine& line : lines) seconds_ = std::max(seconds_, line.values.size());
      }
    }
  }

  std::string svg() {
    const double height =
        kTop + static_cast<double>(plot_.charts.size()) * (kChartHeight + kChartGap);
    text_ =
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 " + number(kWidth) + " " +
        number(height) + "\" width=\"" + number(kWidth) + "\" height=\"" + number(height) +
        "\" font-family=\"sans-serif\" font-size=\"12\">\n" +
        "<style>\n"
        "svg { --ink: #222; --ground: #fff; --grid: #ddd; --p0: #c2410c; --p1: #1d4ed8 }\n"
        "@media (prefers-color-scheme: dark) {\n"
        "  svg { --ink: #ddd; --ground: #16181d; --grid: #3a3d44; --p0: #fb923c; --p1: #7aa2ff }\n"
        "}\n"
        // Once without variables, for programs that know none.
        ".ground { fill: #fff; fill: var(--ground) }\n"
        "text { fill: #222; fill: var(--ink) }\n"
        ".grid { stroke: #ddd; stroke: var(--grid); stroke-width: 1 }\n"
        "polyline { fill: none; stroke-width: 1.6; stroke-linejoin: round }\n"
        ".p0 { stroke: #c2410c; stroke: var(--p0) }\n"
        ".p1 { stroke: #1d4ed8; stroke: var(--p1) }\n"
        ".dashed { stroke-dasharray: 5 4; stroke-width: 1.2 }\n"
        "</style>\n"
        "<rect class=\"ground\" width=\"100%\" height=\"100%\"/>\n";
    label(kLeft, 24, escaped(plot_.title), "font-size=\"15\" font-weight=\"bold\"");
    double top = kTop + 22;
    for (const PlotChart& chart : plot_.charts) {
      draw(chart, top);
      top += kChartHeight + kChartGap;
    }
    return text_ + "</svg>\n";
  }

 private:
  void label(double x, double y, const std::string& text, const std::string& attributes = "") {
    text_ += "<text x=\"" + number(x) + "\" y=\"" + number(y) + "\"" +
             (attributes.empty() ? "" : " " + attributes) + ">" + text + "</text>\n";
  }
  void rule(double x1, double y1, double x2, double y2, const std::string& style) {
    text_ += "<line class=\"" + style + "\" x1=\"" + number(x1) + "\" y1=\"" + number(y1) +
             "\" x2=\"" + number(x2) + "\" y2=\"" + number(y2) + "\"/>\n";
  }
  [[nodiscard]] double x_at(double second) const {
    const double span = std::max<double>(static_cast<double>(seconds_) - 1, 1);
    return kLeft + (kWidth - kLeft - kRight) * second / span;
  }

  void draw(const PlotChart& chart, double top) {
    double most = 0;
    for (const auto& lines : chart.policies) {
      for (const PlotLine& line : lines) {
        for (const double value : line.values) most = std::max(most, sound(value));
      }
    }
    const double step = step_for(most), upper = 4 * step;
    const double bottom = top + kChartHeight;
    label(kLeft, top - 10, escaped(chart.title) + " (" + escaped(chart.unit) + ")",
          "font-weight=\"bold\"");
    for (int i = 0; i <= 4; ++i) {
      const double y = bottom - kChartHeight * i / 4;
      rule(kLeft, y, kWidth - kRight, y, "grid");
      label(kLeft - 8, y + 4, number(step * i), "text-anchor=\"end\"");
    }
    const auto span = static_cast<double>(seconds_);
    const double every = std::max(1.0, step_for(span / 2));
    for (double second = 0; second < span; second += every) {
      rule(x_at(second), bottom, x_at(second), bottom + 4, "grid");
      label(x_at(second), bottom + 17, number(second) + " s", "text-anchor=\"middle\"");
    }
    // From the last one back: the candidate's line is on top.
    double legend = kWidth - kRight;
    for (std::size_t i = chart.policies.size(); i-- > 0;) {
      for (std::size_t j = chart.policies[i].size(); j-- > 0;) {
        draw(chart.policies[i][j], i, upper, bottom);
        legend = legend_of(chart.policies[i][j], i, legend, top - 10);
      }
    }
  }

  static std::string style_of(const PlotLine& line, std::size_t policy) {
    return "p" + std::to_string(policy % 2) + (line.is_dashed ? " dashed" : "");
  }

  void draw(const PlotLine& line, std::size_t policy, double upper, double bottom) {
    text_ += "<polyline class=\"" + style_of(line, policy) + "\" points=\"";
    for (std::size_t i = 0; i < line.values.size(); ++i) {
      const double y = bottom - kChartHeight * std::min(sound(line.values[i]) / upper, 1.0);
      text_ += (i == 0 ? "" : " ") + number(x_at(static_cast<double>(i))) + "," + number(y);
    }
    text_ += "\"/>\n";
  }

  /// Ends at `right`; answers where the next one may end.
  double legend_of(const PlotLine& line, std::size_t policy, double right, double y) {
    constexpr double kLetter = 6.4, kMark = 22;
    constexpr std::size_t kMost = 40;
    const std::string name =
        line.name.size() > kMost ? line.name.substr(0, kMost) + "..." : line.name;
    const double left = right - kLetter * static_cast<double>(name.size()) - kMark - 6;
    rule(left, y - 4, left + kMark, y - 4, style_of(line, policy));
    label(left + kMark + 6, y, escaped(name));
    return left - 14;
  }

  const Plot& plot_;
  std::size_t seconds_ = 1;
  std::string text_;
};

}  // namespace

std::string svg_of(const Plot& plot) { return Drawing(plot).svg(); }

}  // namespace weir::cli
