// Made by build.mjs: imports every file of deliverables/.
declare module "parley:deliverables";
