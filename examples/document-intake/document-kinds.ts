export const documentKinds = ["invoice", "weather", "recipe", "resume"] as const;

export type DocumentKind = (typeof documentKinds)[number];

/**
 * Typical sentences of each kind of document. The average of three sentences represents a kind: with a single one, an
 * invoice for coffee beans counts as a recipe.
 */
export const examplesByKind: Readonly<Record<DocumentKind, readonly string[]>> = {
  invoice: [
    "Invoice number and billing address",
    "Total amount due in dollars",
    "Please pay this bill by bank transfer",
  ],
  weather: [
    "Tomorrow will be sunny with clouds",
    "A storm brings rain and wind",
    "Temperatures drop below zero with snow",
  ],
  recipe: ["Chop the onions and fry them in oil", "Mix the flour, sugar and eggs", "Bake in the oven and serve"],
  resume: ["Work experience as a manager", "University degree and education", "Professional skills and languages"],
};
