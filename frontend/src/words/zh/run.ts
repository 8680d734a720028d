export default {
  Run: "运行",
  "No such run": "没有这个运行",
  "Edit name, tags and notes": "编辑名称、标签和备注",
  "Resume this run": "恢复此运行",
  "Pause this run": "暂停此运行",
  "Save a checkpoint": "保存检查点",
  "Stop this run": "停止此运行",
};
