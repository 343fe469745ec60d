/** The time that a search was given is over; what is known by then is its result. Never leaves `search`. */
export class BudgetSpent extends Error {}
