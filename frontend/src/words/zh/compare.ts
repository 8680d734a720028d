/** Runs side by side. */
export default {
  "Choose runs to compare": "选择要对比的运行",
  "Pick them above, or select rows in an experiment's table.": "在上方选取，或在实验的表格中选择行。",
  Differences: "差异",
  "What differs": "差异之处",
  "What is equal, too": "也显示相同项",
  "Metrics, latest": "指标（最新值）",
  "Their settings are the same.": "它们的配置相同。",
  "Take out {name}": "移除 {name}",
  "Add a run…": "添加运行…",
  "Add a run": "添加运行",
};
