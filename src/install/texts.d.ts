/** Files of dist/ as texts: what `with { type: "text" }` gives. */
declare module "*.sh" {
  const text: string;
  export default text;
}
declare module "*.conf" {
  const text: string;
  export default text;
}
declare module "*.example" {
  const text: string;
  export default text;
}
declare module "*/vmcopy-kdump" {
  const text: string;
  export default text;
}
declare module "*/vmcopy" {
  const text: string;
  export default text;
}
