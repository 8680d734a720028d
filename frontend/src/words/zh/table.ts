export default {
  Experiment: "实验",
  "No such experiment": "没有这个实验",
};
