"""Learning the weights of hunches from written phrases, and measuring them by author."""
