// Made by build.mjs: imports every file of deliverables/, and names what they show.
declare module "parley:deliverables" {
  export const kinds: readonly string[];
}
