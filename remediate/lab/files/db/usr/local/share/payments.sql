CREATE DATABASE payments CHARACTER SET utf8mb4;
USE payments;
CREATE TABLE accounts (
    id INT NOT NULL PRIMARY KEY,
    owner VARCHAR(64) NOT NULL,
    balance DECIMAL(12, 2) NOT NULL,
    CONSTRAINT no_debt CHECK (balance >= 0)
) ENGINE = InnoDB;
CREATE TABLE transfers (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    payer INT NOT NULL,
    payee INT NOT NULL,
    amount DECIMAL(12, 2) NOT NULL,
    made_at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
    CONSTRAINT transfers_payer FOREIGN KEY (payer) REFERENCES accounts (id),
    CONSTRAINT transfers_payee FOREIGN KEY (payee) REFERENCES accounts (id)
) ENGINE = InnoDB;
INSERT INTO accounts (id, owner, balance)
    SELECT seq, concat('customer ', seq), 1000 FROM seq_1_to_20;
INSERT INTO transfers (payer, payee, amount, made_at)
    SELECT 1 + seq % 20, 1 + (seq + 7) % 20, 10 + seq, '2026-01-01 12:00:00' FROM seq_1_to_40;
