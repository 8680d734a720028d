/** Words that come from the server one by one, such as states and roles; see term() in lib/i18n.ts. */
export default {
  // Roles
  viewer: "查看者",
  operator: "操作员",
  admin: "管理员",

  // States of runs, jobs, commands, decisions, nodes
  queued: "排队中",
  claimed: "已领取",
  starting: "启动中",
  running: "运行中",
  paused: "已暂停",
  stopping: "停止中",
  finished: "已完成",
  done: "已完成",
  failed: "失败",
  stopped: "已停止",
  lost: "丢失",
  silent: "失联",
  online: "在线",
  active: "活动",
  pending: "待发送",
  sent: "已发送",
  applied: "已生效",
  rejected: "已拒绝",
  expired: "已过期",
  superseded: "已被取代",
  recorded: "已记录",
  proposed: "已提议",
  blocked: "已拦截",
  judged: "已评判",
  undone: "已撤销",

  // Themes
  light: "浅色",
  dark: "深色",
  system: "跟随系统",

  // Verdicts
  better: "变好",
  same: "持平",
  worse: "变差",
  unclear: "不明确",

  // Modes of the controller
  off: "关闭",
  observe: "观察",
  advise: "建议",
  act: "执行",
};
